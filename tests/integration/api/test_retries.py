"""Retries and dead letters over HTTP."""

import asyncio
import json

import pytest

from codex32.kernel.ids import new_id
from codex32.kernel.models import BotRow, ExecutionRow, StepRow


@pytest.fixture
def failed(add_bot, runtime):
    """Writes a failed execution whose first step has sent something; its id."""
    bot = add_bot("ping")

    def make(**values):
        execution_id = new_id("exe")

        row_values = {"status": "failed", "cause": "error", "finished_at": 2, **values}

        def write():
            row = BotRow.get_by_id(bot)
            ExecutionRow.insert(
                id=execution_id, workspace="default", bot_id=bot, bot_name="ping",
                version_id=row.active_version_id, version_number=1, inputs="{}",
                trigger='{"kind":"manual","at":"2026-01-01T00:00:00Z"}', trigger_kind="manual",
                created_at=1, **row_values,
            ).execute()  # fmt: skip
            StepRow.insert(
                execution_id=execution_id, step="main", status="succeeded", effect="once"
            ).execute()

        runtime.door.write_now(write)
        return execution_id

    return make


async def test_a_retry_is_there_when_the_answer_comes(api, failed):
    original = await asyncio.to_thread(failed)
    answer = await api("POST", f"/api/v1/executions/{original}/retry")
    assert (answer.status, answer.json["kept"], answer.json["from"]) == (202, ["main"], "failed")
    there = (await api("GET", answer.headers["Location"])).json
    assert (there["status"], there["retry_of"]) == ("queued", original)
    steps = (await api("GET", f"{answer.json['status_url']}/steps")).json["items"]
    assert [(each["step"], each["status"]) for each in steps] == [("main", "succeeded")]
    before = (await api("GET", f"/api/v1/executions/{original}")).json
    assert before["retried_by"] == [answer.json["id"]]
    assert (before["status"], before["settled"]["as"], before["settled"]["by"]) == (
        "failed", "retried", "operator",
    )  # fmt: skip


async def test_what_becomes_of_executions_is_audited_once(api, failed):
    retried, dismissed = [await asyncio.to_thread(failed) for _ in range(2)]
    for _ in range(2):
        answer = await api("POST", f"/api/v1/executions/{retried}/retry")
    await api("POST", f"/api/v1/dead-letters/{dismissed}/dismiss", json={"note": "known"})
    await api("POST", f"/api/v1/executions/{answer.json['id']}/cancel")
    found = (await api("GET", "/api/v1/audit")).json["items"]
    assert [(each["action"], each["subject"]) for each in found] == [
        ("execution.cancelled", answer.json["id"]),
        ("execution.dismissed", dismissed),
        ("execution.retried", retried),
    ]
    assert found[1]["change"]["note"] == "known"
    assert {each["actor"]["kind"] for each in found} == {"operator"}


async def test_twenty_at_once_make_one_retry(api, failed):
    path = f"/api/v1/executions/{await asyncio.to_thread(failed)}/retry"
    answers = await asyncio.gather(*(api("POST", path) for _ in range(20)))
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum(not answer.json["repeated"] for answer in answers) == 1
    assert (await api("POST", path, json={"again": True})).json["repeated"] is False


async def test_effects_are_repeated_only_where_that_is_meant(api, failed):
    path = f"/api/v1/executions/{await asyncio.to_thread(failed)}/retry"
    refused = await api("POST", path, json={"from": "start"})
    assert (refused.status, refused.json["code"]) == (409, "effects-repeated")
    assert [each["path"] for each in refused.json["errors"]] == ["main"]
    meant = await api("POST", path, json={"from": "start", "repeat_effects": True})
    assert (meant.status, meant.json["repeats"]) == (202, ["main"])


async def test_what_makes_no_sense_is_refused_clearly(api, failed):
    path = f"/api/v1/executions/{await asyncio.to_thread(failed)}/retry"
    missing = await api("POST", path, json={"from": "mian"})
    assert (missing.status, missing.json["code"]) == (404, "step-not-found")
    assert "did you mean 'main'" in missing.json["detail"]
    misspelt = await api("POST", path, json={"form": "start"})
    assert "did you mean 'from'" in misspelt.json["errors"][0]["message"]
    assert (await api("POST", path, json={"from": "Not An Id"})).status == 422
    assert (await api("POST", f"/api/v1/executions/{new_id('exe')}/retry")).status == 404
    running = await asyncio.to_thread(failed, status="running", finished_at=None)
    refused = await api("POST", f"/api/v1/executions/{running}/retry")
    assert (refused.status, refused.json["code"]) == (409, "retry-refused")


async def test_dead_letters_come_page_by_page_until_they_are_dismissed(api, failed):
    ids = [await asyncio.to_thread(failed) for _ in range(3)]
    await asyncio.to_thread(failed, status="succeeded", cause=None)
    first = (await api("GET", "/api/v1/dead-letters?limit=2")).json
    rest = (await api("GET", f"/api/v1/dead-letters?limit=2&cursor={first['next']}")).json
    listed = [each["id"] for each in (*first["items"], *rest["items"])]
    assert (listed, rest["next"]) == (sorted(ids, reverse=True), None)

    body = {"note": "a test"}
    done = (await api("POST", f"/api/v1/dead-letters/{ids[0]}/dismiss", json=body)).json
    assert {**done["settled"], "at": ""} == {
        "as": "dismissed", "at": "", "by": "operator", "note": "a test",
    }  # fmt: skip
    left = (await api("GET", "/api/v1/dead-letters")).json["items"]
    assert {each["id"] for each in left} == set(ids[1:])
    filtered = (await api("GET", "/api/v1/dead-letters?cause=timeout&bot=ping")).json["items"]
    assert filtered == []
    later = "/api/v1/dead-letters?since=2026-01-01T00:00:00Z"
    assert (await api("GET", later)).json["items"] == []
    assert (await api("GET", "/api/v1/dead-letters?since=yesterday")).status == 422


async def test_only_what_failed_is_dismissed(api, failed):
    done = await asyncio.to_thread(failed, status="succeeded", cause=None)
    answer = await api("POST", f"/api/v1/dead-letters/{done}/dismiss")
    assert (answer.status, answer.json["code"]) == (409, "invalid-transition")
    assert json.loads(answer.text)["detail"].endswith("cannot become dismissed")
