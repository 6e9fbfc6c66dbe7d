"""A draft that mends a bot, over the API; nothing of it is applied."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from codex32_shares import record

from codex32.kernel.errors import InvalidTransition
from codex32.kernel.models import ExecutionRow, StepRow
from codex32.services.bots.written import BUILDER, Written
from codex32.services.cases.recorded import recorded_case
from codex32.services.executions import repairing

YAML = {"Content-Type": "application/yaml"}
ASKS = """\
# what a person wrote
name: asks
allow: {hosts: [example.com]}
steps:
  - {id: ask, type: http, with: {url: "https://example.com/"}}
  - {id: tell, type: notify, with: {to: log, text: done}}
"""
FAULT = {"message": "https://example.com/ cannot be reached", "code": "http-unreachable"}


def execution(runtime, status, *steps):
    """Writes one of the bot, with its steps: id, status, output, error."""
    told = [(name, ended, None, *rest) for name, ended, *rest in steps]
    message = FAULT["message"] if status == "failed" else ""
    return runtime.door.write_now(partial(record, "asks", status, {}, *told, message=message))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_draft_comes_back_with_what_its_test_showed(api, runtime):
    made = await api("POST", "/api/v1/bots", data=ASKS.encode(), headers=YAML)
    assert made.status == 201, made.text
    answer = {"status": 200, "headers": {}, "body": "", "url": "https://example.com/"}
    await asyncio.to_thread(execution, runtime, "succeeded", ("ask", "succeeded", answer, None))
    failed = await asyncio.to_thread(execution, runtime, "failed", ("ask", "failed", None, FAULT))
    draft = await api("POST", f"/api/v1/executions/{failed}/repair")
    assert draft.status == 200, draft.text
    assert draft.json["diagnosis"]["trouble"] == "network"
    assert "may pass" in draft.json["change"]
    assert (draft.json["failed_before"], draft.json["passes_after"]) == (True, True)
    assert draft.json["text"].startswith("# what a person wrote\n")
    assert (await api("GET", "/api/v1/bots/asks/definition")).text == ASKS


async def test_only_what_failed_is_repaired(api, runtime):
    await api("POST", "/api/v1/bots", data=ASKS.encode(), headers=YAML)
    done = await asyncio.to_thread(execution, runtime, "succeeded")
    told = await api("POST", f"/api/v1/executions/{done}/repair")
    assert (told.status, told.json["code"]) == (409, "invalid-transition")
    assert (await api("POST", "/api/v1/executions/exe_nothing/repair")).status == 404


async def test_what_a_model_wrote_is_tried_as_what_a_model_wrote(api, runtime):
    read = await asyncio.to_thread(runtime.reader.read_text, ASKS)
    written = Written.of(read.only_bot(), ASKS, BUILDER)
    await runtime.door.write(partial(runtime.registry.store, written, 1))
    failed = await asyncio.to_thread(execution, runtime, "failed", ("ask", "failed", None, FAULT))
    parts = runtime.payloads, runtime.definitions, runtime.reader
    made = await runtime.door.read(partial(repairing.draft, failed, *parts))
    assert made.origin == "builder"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_of_a_draft_with_faults_nothing_is_said_to_have_been_shown(api, runtime):
    await api("POST", "/api/v1/bots", data=ASKS.encode(), headers=YAML)
    answer = {"status": 200, "headers": {}, "body": "x" * 300_000, "url": "https://example.com/"}
    await asyncio.to_thread(execution, runtime, "succeeded", ("ask", "succeeded", answer, None))
    failed = await asyncio.to_thread(execution, runtime, "failed", ("ask", "failed", None, FAULT))
    draft = await api("POST", f"/api/v1/executions/{failed}/repair")
    assert draft.status == 200, draft.text
    assert (draft.json["failed_before"], draft.json["passes_after"]) == (None, None)
    assert "the file has" in draft.json["problems"][0]


EACH = """\
name: asks
inputs: {what: {type: array, default: []}}
allow: {hosts: [example.com]}
steps:
  - id: ask
    type: http
    foreach: "${{ inputs.what }}"
    with: {url: "https://example.com/${{ item }}"}
  - id: put
    type: http
    with: {method: POST, url: "https://example.com/", body: "${{ steps.ask.output[1].body }}"}
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_of_a_foreach_the_item_that_failed_is_tried_again_though_nothing_ever_went_well(
    api, runtime
):
    given = EACH + "labels: {of: before}\n"
    await api("POST", "/api/v1/bots", data=given.encode(), headers=YAML)
    failed = await asyncio.to_thread(execution, runtime, "failed", ("ask", "failed", None, FAULT))
    a, b = ({"url": f"https://example.com/{each}"} for each in "ab")
    answer = {"status": 200, "headers": {}, "body": "of a", **a}
    items = [("succeeded", a, answer, None), ("failed", b, None, FAULT)]

    def told():
        inputs = json.dumps({"what": ["a", "b"], "more": 1})  # what the bot of now does not know
        ExecutionRow.update(inputs=inputs).where(ExecutionRow.id == failed).execute()
        for item, (status, asked, output, error) in enumerate(items):
            StepRow.insert(
                execution_id=failed, step="ask", item=item, status=status, effect="none", tries=1,
                input=json.dumps(asked), output=output and json.dumps(output),
                error=error and json.dumps(error), finished_at=2,
            ).execute()  # fmt: skip

    await runtime.door.write(told)
    draft = (await api("POST", f"/api/v1/executions/{failed}/repair")).json
    assert (draft["problems"], draft["failed_before"], draft["passes_after"]) == ([], True, True)
    assert draft["test"]["inputs"] == {"what": ["a", "b"]}


WAITS = "name: asks\ntype: wait\nwith: {event: custom.go}\n"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_event_stands_in_the_test_of_what_waited_for_it_and_what_was_cancelled_is_none(
    api, runtime
):
    await api("POST", "/api/v1/bots", data=WAITS.encode(), headers=YAML)
    event = {"name": "custom.go", "data": {"who": "Ada"}}
    done = await asyncio.to_thread(
        execution, runtime, "succeeded", ("main", "succeeded", event, None)
    )
    recorded = partial(recorded_case, payloads=runtime.payloads, definitions=runtime.definitions)
    case = await runtime.door.read(partial(recorded, done))
    assert case["mocks"] == {"main": {"output": event}}
    cancelled = await asyncio.to_thread(execution, runtime, "cancelled")
    with pytest.raises(InvalidTransition, match="is cancelled and cannot become a test"):
        await runtime.door.read(partial(recorded, cancelled))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("step", "status", "ready_at", "comes_to_it"),
    [
        ("type: approve\nwith: {text: may I?}\n", "waiting", None, True),
        ("type: approve\nwith: {text: may I?, expires: 1d}\n", "waiting", 1, False),
        ("type: wait\nwith: {for: 1h}\n", "waiting", 1, False),
        ("type: bot\nwith: {name: other}\nallow: {bots: [other]}\n", "waiting", None, False),
        ("type: notify\nwith: {to: log, text: done}\n", "unknown", None, False),
    ],
    ids=["for a person", "for a person and an hour", "for an hour", "for a bot", "unknown"],
)
async def test_what_waits_becomes_a_test_only_where_the_test_would_wait_as_well(
    api, runtime, step: str, status: str, ready_at: int | None, comes_to_it: bool
):
    if "other" in step:
        await api("POST", "/api/v1/bots", data=b"name: other\ntype: set\n", headers=YAML)
    await api("POST", "/api/v1/bots", data=f"name: asks\n{step}".encode(), headers=YAML)
    waits = await asyncio.to_thread(execution, runtime, "waiting", ("main", status, None, None))
    due = ExecutionRow.update(ready_at=ready_at).where(ExecutionRow.id == waits)
    await runtime.door.write(due.execute)
    parts = {"payloads": runtime.payloads, "definitions": runtime.definitions}
    made = runtime.door.read(partial(recorded_case, waits, **parts))
    if comes_to_it:
        assert (await made)["expect"] == {"status": "waiting", "steps": {"main": "waiting"}}
    else:
        with pytest.raises(InvalidTransition, match="is waiting and cannot become a test"):
            await made
