"""A draft that mends a bot, over the API; nothing of it is applied."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest

from codex32.kernel.ids import new_id
from codex32.kernel.models import BotRow, ExecutionRow, StepRow
from codex32.services.bots.written import BUILDER, Written
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
    execution_id = new_id("exe")

    def write():
        bot = BotRow.get(BotRow.name == "asks")
        failed = status == "failed"
        ExecutionRow.insert(
            id=execution_id, workspace="default", bot_id=bot.id, bot_name="asks",
            version_id=bot.active_version_id, version_number=1, inputs="{}", status=status,
            trigger='{"kind":"manual","at":"2026-01-01T00:00:00Z"}', trigger_kind="manual",
            created_at=1, finished_at=2, cause="error" if failed else None,
            message=FAULT["message"] if failed else "",
        ).execute()  # fmt: skip
        for name, ended, output, error in steps:
            StepRow.insert(
                execution_id=execution_id, step=name, status=ended, effect="none", tries=1,
                output=output, error=error, finished_at=2,
            ).execute()  # fmt: skip

    runtime.door.write_now(write)
    return execution_id


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_draft_comes_back_with_what_its_test_showed(api, runtime):
    made = await api("POST", "/api/v1/bots", data=ASKS.encode(), headers=YAML)
    assert made.status == 201, made.text
    answer = {"status": 200, "headers": {}, "body": "", "url": "https://example.com/"}
    told = json.dumps(answer), json.dumps(FAULT)
    await asyncio.to_thread(execution, runtime, "succeeded", ("ask", "succeeded", told[0], None))
    failed = await asyncio.to_thread(
        execution, runtime, "failed", ("ask", "failed", None, told[1])
    )
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
    failed = await asyncio.to_thread(
        execution, runtime, "failed", ("ask", "failed", None, json.dumps(FAULT))
    )
    parts = runtime.payloads, runtime.definitions, runtime.reader
    made = await runtime.door.read(partial(repairing.draft, failed, *parts))
    assert made.origin == "builder"
