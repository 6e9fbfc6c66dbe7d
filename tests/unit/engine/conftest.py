"""Small components, so that reading is tested without those of the house."""
# ruff: noqa: RUF012 - a component's schemas are never changed.

from zoneinfo import ZoneInfo

import pytest

from codex32.engine.reading.definition import Reader
from codex32.kernel.components import Components
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.contracts.notifier import Notifier, Receipt
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.outcomes import Succeeded
from codex32.kernel.problems import Problem
from codex32.kernel.text import parse_duration


def closed(*required, **properties):
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": list(required)} if required else schema


class Kind(BotType):
    async def run(self, context, params):
        return Succeeded()


class Fetch(Kind):
    name = "fetch"
    summary = "Get a page."
    params_schema = closed(
        "url",
        url={"type": "string", "format": "uri", "description": "Where from."},
        method={"enum": ["GET", "POST"], "description": "How."},
        pages={"type": "integer", "minimum": 1, "description": "How many."},
        wait={"type": "string", "format": "duration", "description": "How long."},
    )
    output_schema = closed(status={"type": "integer"}, body={}, url={"type": "string"})


class Script(Kind):
    name = "script"
    params_schema = closed(
        code={"type": "string"}, file={"type": "string"}, args={"type": "object"}
    )
    inlined_files = {"file": "code"}

    def check(self, params):
        if "code" in params and "def main" not in params["code"]:
            return [Problem("there is no main", path="code", code="no-main")]
        return []


class Choose(Kind):
    name = "choose"
    params_schema = closed(
        "items",
        items={"type": "array"},
        key={"type": "string", "format": "expression", "variables": ["item"]},
    )
    output_schema = {"type": "array"}


class Note(Kind):
    name = "note"
    params_schema = closed(
        "to", to={"type": "string", "format": "notifier"}, text={"type": "string"}
    )


class Stop(Kind):
    name = "stop"
    single = True
    params_schema = closed(message={"type": "string"})


class Timed(TriggerType):
    def next_fire_at(self, config, timezone, after):
        return None


class Cron(Timed):
    name = "cron"
    config_schema = {"type": "string", "description": "Five fields."}

    def problems(self, config, timezone):
        assert ZoneInfo(timezone)
        return [] if len(config.split()) == 5 else [Problem("cron takes five fields")]


class Every(Timed):
    name = "every"
    config_schema = {"type": "string", "format": "duration"}

    def problems(self, config, timezone):
        return [] if parse_duration(config) else [Problem("must be longer than nothing")]


class Hook(Timed):
    name = "webhook"
    timed = False
    config_schema = closed("path", path={"type": "string"}, auth={"type": "object"})


class Silent(Notifier):
    name = "log"

    async def send(self, notification, target, *, timeout_seconds):
        return Receipt("0")


@pytest.fixture(scope="session")
def components():
    return Components.of(
        bot_types=[Fetch(), Script(), Choose(), Note(), Stop()],
        trigger_types=[Cron(), Every(), Hook()],
        notifiers=[Silent()],
    )


@pytest.fixture(scope="session")
def reader(components):
    return Reader(components)


@pytest.fixture(scope="session")
def full_text():
    """A bot file that uses nearly every key."""
    return FULL


FULL = """\
name: release-digest   # a comment
description: Summarise new releases
labels: {team: platform}
triggers:
  - cron: "0 8 * * 1-5"
    timezone: Europe/Berlin
    on_missed: last
  - webhook: {path: releases}
    dedupe: "${{ trigger.headers['x-id'] }}"
    if: "trigger.body.action == 'published'"
    inputs: {feeds: ["${{ trigger.body.url }}"]}
inputs:
  feeds: {type: array, items: {type: string}, default: ["https://example.com/feed.xml"]}
  pages: {type: integer, minimum: 1, default: 3}
  team: {type: string}
allow:
  hosts: [example.com]
  secrets: [TOKEN]
  spend_usd: {execution: 0.05, day: 1.00}
  memory: 64MiB
concurrency: {limit: 1, key: "${{ inputs.pages }}", when_full: queue, max_queued: 100}
rate: {limit: 10, per: 1m}
priority: 5
timeout: 10m
retry: {attempts: 3, first: 1s, factor: 2, max: 5m}
steps:
  - id: pages
    type: fetch
    foreach: "${{ inputs.feeds }}"
    parallel: 3
    with: {url: "${{ item }}", pages: "${{ inputs.pages + 1 }}"}
  - id: entries
    type: script
    retry: {attempts: 2}
    with:
      args: {pages: "${{ steps.pages.output.map(p, p.body) }}", token: "${{ secrets.TOKEN }}"}
      code: |
        def main(pages, token):
            return []
  - id: fresh
    type: choose
    needs: [entries]
    with: {items: "${{ steps.entries.output }}", key: "item.title"}
  - id: other
    type: note
    needs: []
    timeout: 5s
    on_error: continue
    with: {to: log, text: "Hello ${{ inputs.?team.orValue('all') }}"}
  - id: stop
    type: stop
    needs: [fresh, other]
    if: "${{ size(steps.fresh.output) == 0 }}"
    with: {message: nothing new}
on_failure:
  - {id: tell, type: note, with: {to: log, text: "${{ failure.step }}: ${{ failure.message }}"}}
finally:
  - {id: bye, type: note, with: {to: log, text: "${{ steps.fresh.status }}"}}
output: "${{ steps.fresh.output }}"
retention: {succeeded: 7d}
"""
