"""``GET /metrics``: closed until opened, and in the format that Prometheus reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

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


class TestOpened:
    @pytest.fixture
    def settings(self, opened):
        return opened

    @pytest.mark.parametrize("token", [None, "x", "", SECRET + "x"])
    async def test_only_its_own_token_opens_it(self, api, token):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        assert (await api("GET", "/metrics", token=None, headers=headers)).status == 401

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
