"""Backfills over HTTP."""

import asyncio

import pytest

from codex32.kernel.models import TriggerRow
from codex32.services.bots import schedules

PATH = "/api/v1/bots/tick/backfill"
DAY = {"from": "2026-01-05T00:00:00Z", "to": "2026-01-05T23:59:59Z"}


@pytest.fixture(autouse=True)
def tick(add_bot, runtime):
    trigger = {"cron": "0 * * * *", "overlap": "allow"}
    bot_id = add_bot("tick", triggers=[trigger])
    document = {"name": "tick", "type": "set", "with": {"values": {}}, "triggers": [trigger]}
    bot = runtime.reader.from_document(document)
    types = runtime.components.trigger_types

    def reconcile():
        schedules.reconcile(bot_id, bot, types, runtime.clock.micros(), live=True)
        return TriggerRow.select().count()

    assert runtime.door.write_now(reconcile) == 1


async def test_what_is_missing_is_made_once(api):
    looked = (await api("POST", PATH, json={**DAY, "dry_run": True})).json
    assert (looked["times"], looked["missing"], looked["made"]) == (24, 24, 0)
    first = await api("POST", PATH, json={**DAY, "limit": 10})
    assert (first.status, first.json["made"], first.json["left"]) == (202, 10, 14)
    answers = await asyncio.gather(*(api("POST", PATH, json=DAY) for _ in range(3)))
    assert sum(answer.json["made"] for answer in answers) == 14
    assert {answer.status for answer in answers} == {202}
    again = (await api("POST", PATH, json=DAY)).json
    assert (again["missing"], again["executions"], again["first"]) == (0, [], None)


async def test_what_makes_no_sense_is_refused(api):
    future = await api("POST", PATH, json={**DAY, "to": "2100-01-01T00:00:00Z"})
    assert (future.status, future.json["code"]) == (409, "backfill-refused")
    faults = (await api("POST", PATH, json={"from": "2026-01-05T00:00:00", "limit": 0})).json
    assert {each["path"] for each in faults["errors"]} == {"from", "to", "limit"}
    assert (await api("POST", "/api/v1/bots/none/backfill", json=DAY)).status == 404
