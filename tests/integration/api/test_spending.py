"""What models cost, over the API: of the caller's workspace alone."""

import pytest

from codex32.kernel.spending_rows import ModelAttemptRow

COST = 2_000_000  # nano-USD


def attempt(number, now, **values):
    row = {
        "id": f"mat_{number}", "workspace": "default", "bot": "digest", "model": "openai:a",
        "state": "settled", "budgets": "[]", "reserved_nano": 0, "cost_nano": COST,
        "input_tokens": 100, "output_tokens": 20, "started_at": now, "day": "2026-01-05",
        **values,
    }  # fmt: skip
    ModelAttemptRow.insert(row).execute()


@pytest.fixture
def spent(runtime):
    now = runtime.clock.micros()
    today = runtime.models.caps.day(runtime.clock.now())

    def write():
        attempt(1, now, day=today)
        attempt(2, now, day=today, model="openai:b", state="assumed", bot="other")
        attempt(3, now, day=today, fault="timeout", cost_nano=0)
        attempt(4, now, day=today, workspace="foreign", bot="theirs", cost_nano=9 * COST)
        attempt(5, now, day="2020-01-01")

    runtime.door.write_now(write)
    return today


async def test_it_is_told_by_bot_model_and_day(api, spent):
    by_bot = (await api("GET", "/api/v1/spending")).json["items"]
    assert {each["bot"]: each["requests"] for each in by_bot} == {"digest": 2, "other": 1}
    digest = next(each for each in by_bot if each["bot"] == "digest")
    assert (digest["failed"], digest["cost_usd"], digest["input_tokens"]) == (1, 0.002, 200)
    by_model = (await api("GET", "/api/v1/spending?by=model")).json["items"]
    assert {each["model"]: each["assumed_usd"] for each in by_model} == {
        "openai:a": 0.0,
        "openai:b": 0.002,
    }
    (day,) = (await api("GET", "/api/v1/spending?by=day&days=2")).json["items"]
    assert (day["day"], day["cost_usd"]) == (spent, 0.004)


async def test_the_month_is_forecast_bot_by_bot(api, spent):
    found = (await api("GET", "/api/v1/spending/forecast")).json["items"]
    told = {each["bot"]: each["spent_usd"] for each in found if each["spent_usd"]}
    assert told == {"digest": 0.002, "other": 0.002}
    assert all(each["expected_usd"] >= each["spent_usd"] for each in found)


@pytest.mark.parametrize("query", ["by=workspace", "days=0", "days=401", "of=all"])
async def test_what_makes_no_sense_is_refused(api, query):
    assert (await api("GET", f"/api/v1/spending?{query}")).status == 422
