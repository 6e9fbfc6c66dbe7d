"""``GET /metrics``: closed until opened, and in the format that Prometheus reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from codex32.api.errors import Unauthorized
from codex32.api.routes.metrics import MetricsRoutes, _text
from codex32.kernel.events import (
    AttemptFinished,
    ExecutionFinished,
    ExecutionQueued,
    StepFinished,
)
from codex32.kernel.models import BotRow, TriggerRow
from codex32_config.layers import SettingsError
from codex32_config.settings import load_settings

SECRET = "a token for prometheus"


@pytest.fixture
def opened(settings, tmp_path, database_url):
    overrides = {"database_url": database_url, "api.token": "x", "metrics.token": SECRET}
    return load_settings(folder=tmp_path, overrides=overrides, environ={})


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_without_a_token_of_its_own_nothing_is_there(api):
    assert (await api("GET", "/metrics")).status == 404


def test_an_empty_token_is_refused_and_not_taken_from_everybody(tmp_path):
    empty = tmp_path / "token"
    empty.write_text("\n")
    for given in (
        {"overrides": {"metrics.token": ""}, "environ": {}},
        {"environ": {"CODEX32_METRICS__TOKEN_FILE": str(empty)}},
    ):
        with pytest.raises(SettingsError, match="let everybody in"):
            load_settings(folder=tmp_path, **given)


class TestOpened:
    @pytest.fixture
    def settings(self, opened):
        return opened

    @pytest.mark.parametrize("token", [None, "x", "", SECRET + "x"])
    async def test_only_its_own_token_opens_it(self, api, token):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        assert (await api("GET", "/metrics", token=None, headers=headers)).status == 401

    async def test_what_is_no_text_is_no_token(self, api, runtime):
        with pytest.raises(Unauthorized):
            MetricsRoutes(runtime)._check("Bearer \udcff")  # as the byte FF comes out of a header

    async def test_a_thousand_bots_have_no_more_series_than_one(self, runtime):
        def seed(start, end):
            now = runtime.clock.micros()
            for number in range(start, end):
                name = f"bot-{number}"
                BotRow.insert(
                    id=name, workspace="default", name=name, origin="file", created_at=now,
                    updated_at=now,
                ).execute()  # fmt: skip
                TriggerRow.insert(
                    id=f"trg_{number}", bot_id=name, key="k", kind="cron", definition="{}",
                    next_at=now, created_at=now,
                ).execute()  # fmt: skip

        def events(start, end):
            for number in range(start, end):
                about = {
                    "at": runtime.clock.now(), "workspace": f"room-{number}",
                    "execution_id": f"exe_{number}", "bot": f"bot-{number}",
                }  # fmt: skip
                yield ExecutionQueued(**about, trigger="cron")
                yield StepFinished(
                    **about, step=f"step-{number}", type="set", item=number, status="succeeded",
                    duration_seconds=0.01,
                )  # fmt: skip
                yield AttemptFinished(**about, attempt=1, outcome="succeeded")
                yield ExecutionFinished(
                    **about, status="succeeded", cause=None, message=f"{number}",
                    bot_type="set", duration_seconds=0.2,
                )  # fmt: skip

        async def series(start, end):
            await runtime.door.write(lambda: seed(start, end))
            runtime.meter.take_note(list(events(start, end)))
            await runtime.meter.keep(runtime.door)
            text = await runtime.door.read(_text, runtime.clock.micros())
            return samples(text.decode())

        one = await series(0, 1)
        many = await series(1, 1000)
        assert many.keys() == one.keys()
        assert many["codex32_bots", ("state", "active")] == 1000
        ended = ("bot_type", "set"), ("cause", ""), ("status", "succeeded")
        assert many["codex32_executions_total", *ended] == 1000
        assert not any("bot-" in str(each) or "room-" in str(each) for each in many)

    @pytest.fixture
    def bot(self, add_bot):
        return add_bot("ping")

    async def test_it_tells_what_was_counted_and_how_the_house_stands(self, api, runtime, bot):
        headers = {"Authorization": f"Bearer {SECRET}"}
        for _ in range(3):
            started = await api("POST", "/api/v1/bots/ping/execute", token="x")
            assert started.status == 202
        # The heartbeat may just be writing some of it.
        found = {}
        while found.get(("codex32_executions_asked_total", ("trigger", "manual"))) != 3:
            await runtime.meter.keep(runtime.door)
            answer = await api("GET", "/metrics", token=None, headers=headers)
            assert answer.status == 200
            found = samples(answer.text)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert found["codex32_executions_open", ("status", "queued")] == 3
        assert found["codex32_workers_lost_total",] == 0
        assert found["codex32_bots", ("state", "active")] == 1
