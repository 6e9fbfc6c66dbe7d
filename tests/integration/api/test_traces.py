"""Spans of requests, and in whose trace what they ask for stands."""

import asyncio
import re

import pytest
from codex32_otlp import collecting
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from codex32.kernel.models import ExecutionRow
from codex32.outside.traces.otlp import doing
from codex32.services.bots.written import FILE, Written
from codex32.services.executions import executions
from codex32.tracing import traces
from codex32_config.layers import SettingsError
from codex32_config.settings import load_settings

ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOKEN = "a token of the test"


@pytest.fixture
def collector():
    with collecting() as made:
        yield made


@pytest.fixture
def settings(tmp_path, database_url, collector):
    overrides = {
        "database_url": database_url,
        "api.token": TOKEN,
        "api.rates.normal": None,
        "bots.unsigned_webhooks": True,
        "tracing.endpoint": collector.url,
        "tracing.link": "https://traces.example/{trace}",
    }
    return load_settings(folder=tmp_path, overrides=overrides, environ={})


async def test_what_is_asked_for_stands_beneath_the_request_and_that_beneath_the_callers_own(
    api, add_bot, runtime, collector
):
    await asyncio.to_thread(add_bot, "ping")
    headers = {"traceparent": ASKED}
    started = await api("POST", "/api/v1/bots/ping/execute?wait=0", headers=headers)
    execution_id = started.json["id"]
    row = await runtime.door.read(executions.get, execution_id)
    detail = await api("GET", f"/api/v1/executions/{execution_id}")
    trace = ASKED[3:35]
    assert detail.json["trace"] == {"id": trace, "url": f"https://traces.example/{trace}"}

    names = "POST /api/v1/bots/{name}/execute", "GET /api/v1/executions/{id}"
    posted, read = await asyncio.to_thread(collector.wait, *names)
    assert (posted.trace, posted.parent, posted.kind) == (trace, ASKED[36:52], 2)
    assert row.traceparent == f"00-{trace}-{posted.span}-01"
    assert posted.attributes["http.response.status_code"] == 202
    assert posted.attributes["codex32.request.id"] == started.headers["X-Request-Id"]
    assert read.trace != trace
    assert read.parent == ""
    assert b"wait=0" not in b"".join(collector.bodies)


async def test_a_retry_stands_beneath_the_request_that_asks_for_it(
    api, add_bot, runtime, collector
):
    await asyncio.to_thread(add_bot, "ping")
    first = (await api("POST", "/api/v1/bots/ping/execute")).json["id"]

    def end():
        ended = {"status": "cancelled", "finished_at": 1}
        ExecutionRow.update(ended).where(ExecutionRow.id == first).execute()

    await runtime.door.write(end)
    headers = {"traceparent": ASKED}
    again = await api("POST", f"/api/v1/executions/{first}/retry", headers=headers)
    assert again.status == 202, again.text
    detail = await api("GET", f"/api/v1/executions/{again.json['id']}")
    assert detail.json["trace"]["id"] == ASKED[3:35]
    row = await runtime.door.read(executions.get, again.json["id"])
    name = "POST /api/v1/executions/{id}/retry"
    [posted] = await asyncio.to_thread(collector.wait, name)
    assert row.traceparent == f"00-{ASKED[3:35]}-{posted.span}-01"


async def test_a_stranger_reaches_into_nobodys_trace(api, runtime, collector):
    text = """name: ping
triggers: [{webhook: {path: open, auth: {scheme: none}}}]
type: set
with: {values: {}}
"""
    bot = (await asyncio.to_thread(runtime.reader.read_text, text)).only_bot()
    written = Written.of(bot, text, FILE, "bots/ping.yaml")
    now = runtime.clock.micros()
    await runtime.door.write(lambda: runtime.registry.store(written, now, workspace="default"))
    headers = {"traceparent": ASKED}
    sent = await api("POST", "/hooks/default/open", token=None, headers=headers, json={})
    assert sent.status == 202, sent.text
    [row] = await runtime.door.read(lambda: list(ExecutionRow.select()))
    [hook] = await asyncio.to_thread(collector.wait, "POST /hooks/{workspace}/{path}")
    assert row.traceparent == f"00-{hook.trace}-{hook.span}-01"
    assert hook.trace != ASKED[3:35]
    assert hook.parent == ""


async def test_what_is_refused_is_told_with_its_status_and_is_no_trouble_of_the_house(
    api, collector
):
    refused = await api("GET", "/api/v1/executions/exe_00000000000000000000000000")
    assert refused.status == 404
    await api("GET", "/healthz")
    await api("GET", "/readyz")
    [span] = await asyncio.to_thread(collector.wait, "GET /api/v1/executions/{id}")
    assert not span.failed
    assert span.attributes["http.response.status_code"] == 404
    assert not [each for each in collector.spans if "healthz" in each.name or "ready" in each.name]


async def test_a_trace_that_a_caller_does_not_keep_is_not_kept_here(api, add_bot, runtime):
    await asyncio.to_thread(add_bot, "ping")
    headers = {"traceparent": ASKED[:-1] + "0"}
    started = await api("POST", "/api/v1/bots/ping/execute", headers=headers)
    detail = await api("GET", f"/api/v1/executions/{started.json['id']}")
    assert detail.json["trace"] is None


async def test_what_collections_do_for_a_request_stands_beneath_it(api, collector):
    texts = "the sea is salty", "how salty is the sea"
    body = {"source": "a.txt", "text": texts[0]}
    put = await api("PUT", "/api/v1/collections/facts/documents", json=body)
    assert put.status == 201, put.text
    asked = {"text": texts[1]}
    found = await api("POST", "/api/v1/collections/facts/query", json=asked)
    assert found.json["items"]

    wrote, index, query, search = await asyncio.to_thread(
        collector.wait,
        "PUT /api/v1/collections/{name}/documents",
        "index facts",
        "POST /api/v1/collections/{name}/query",
        "search facts",
    )
    assert (index.trace, index.parent) == (wrote.trace, wrote.span)
    assert (search.trace, search.parent) == (query.trace, query.span)
    embedded = [each for each in collector.spans if each.name.startswith("embeddings ")]
    assert {each.parent for each in embedded} == {index.span, search.span}
    assert index.attributes["codex32.collection.chunks"] == 1
    assert not any(text.encode() in b"".join(collector.bodies) for text in texts)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("endpoint", "ftp://here", "OTLP"),
        ("endpoint", "http://user:pass@here:4318", "tracing.headers"),
        ("headers", "no pair", "NAME=VALUE"),
        ("sample", 1.5, "less than or equal to 1"),
        ("link", "https://traces.example/", "{trace}"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(name, value, said):
    with pytest.raises(SettingsError, match=re.escape(said)):
        load_settings(overrides={f"tracing.{name}": value}, environ={})


def test_what_opentelemetrys_own_variables_say_of_the_installation_is_told(monkeypatch, tmp_path):
    told = " deployment.environment.name = staging%2C%20one ,nonsense,=x,service.name=other"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", told)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "bots of staging")
    with collecting() as other:
        overrides = {"tracing.endpoint": other.url}
        made = traces(load_settings(folder=tmp_path, overrides=overrides, environ={}), "prc_1")
        with made.tracing.beneath(None, doing("one", "server"), {}):
            pass
        made.collector.close()
    (body,) = other.bodies
    (group,) = ExportTraceServiceRequest.FromString(body).resource_spans
    about = {each.key: each.value.string_value for each in group.resource.attributes}
    assert about["service.name"] == "bots of staging"
    assert about["deployment.environment.name"] == "staging, one"
    assert about["service.instance.id"] == "prc_1"
    assert about["host.name"]
    assert "" not in about
