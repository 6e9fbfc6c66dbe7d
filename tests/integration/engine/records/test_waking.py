"""Executions that wait are woken: whatever the clocks say, and whatever else there is to do."""

from __future__ import annotations

import time

import pytest

from codex32.engine.records.advance import Advance, End
from codex32.engine.records.record import advance
from codex32.kernel.models import ExecutionRow
from codex32.services.upkeep.recovery import recover

BOTS = """\
name: parent
allow: {bots: [child]}
steps:
  - {id: sub, type: bot, foreach: [1, 2], parallel: 2, with: {name: child}}
---
name: child
type: wait
with: {for: 1h}
"""


@pytest.fixture
async def family(engine) -> tuple[str, list[str]]:
    """A parent that waits for two children which wait, too."""
    parent = await engine.start(await engine.add(BOTS))
    await engine.work()

    def children() -> list[str]:
        rows = ExecutionRow.select().where(ExecutionRow.parent_id == parent)
        return [row.id for row in rows.order_by(ExecutionRow.id)]

    return parent, await engine.door.read(children)


async def end_in_the_past(engine, ids) -> None:
    """Children wrote their ends down before the parent began its attempt, as clocks have it."""

    def end() -> None:
        ExecutionRow.update(status="succeeded", finished_at=1, ready_at=None).where(
            ExecutionRow.id.in_(ids)
        ).execute()

    await engine.door.write(end)


async def test_an_end_that_was_written_down_before_the_look_wakes_who_parks(engine, family):
    parent, children = family
    await engine.door.write(
        lambda: (
            ExecutionRow.update(status="queued", ready_at=1)
            .where(ExecutionRow.id == parent)
            .execute()
        )
    )
    (claim,) = await engine.claim()
    await end_in_the_past(engine, children[:1])
    now = engine.env.clock.micros()
    parked = Advance(claim, end=End("waiting", now, "waiting", children=children))
    assert await engine.door.write_many(advance, parked)
    assert (await engine.inspect(parent)).execution.status == "queued"


async def test_recovery_finds_who_waits_for_a_child_that_has_ended(engine, family):
    parent, children = family
    now = engine.env.clock.micros()
    assert (await recover(engine.door, now)).woken == 0
    await end_in_the_past(engine, children[1:])
    assert (await recover(engine.door, now)).woken == 1
    await engine.work()
    seen = await engine.inspect(parent)
    assert seen.execution.status == "waiting"
    assert sorted(s.status for s in seen.steps if s.item >= 0) == ["succeeded", "waiting"]
    # What is known is not looked for again.
    assert (await recover(engine.door, now)).woken == 0
    await end_in_the_past(engine, children)
    await recover(engine.door, now)
    await engine.work()
    assert (await engine.inspect(parent)).execution.status == "succeeded"


async def test_a_lone_execution_does_not_wait_for_a_look_at_waits_that_are_over(
    engine, manual_clock
):
    waits = await engine.start(await engine.add("name: w\ntype: wait\nwith: {for: 1s}\n"))
    await engine.work()
    manual_clock.advance(2)
    lone = await engine.start(await engine.add("name: l\ntype: set\nwith: {values: {}}\n"))
    host = await engine.host()

    async def take(looked_ago: float) -> list[str]:
        host._woke_at = time.monotonic() - looked_ago
        return [claim.id for claim in await engine.door.write(lambda: host.take(5))]

    assert await take(looked_ago=0.5) == [lone]
    assert await take(looked_ago=0.5) == [waits], "nothing else to do: the wait that is over"


async def test_waits_that_are_over_are_looked_for_however_many_come_one_by_one(
    engine, manual_clock
):
    waits = await engine.start(await engine.add("name: w\ntype: wait\nwith: {for: 1s}\n"))
    await engine.work()
    manual_clock.advance(2)
    lone = await engine.start(await engine.add("name: l\ntype: set\nwith: {values: {}}\n"))
    host = await engine.host()
    host._woke_at = time.monotonic() - 1.5
    taken = await engine.door.write(lambda: host.take(5))
    assert [claim.id for claim in taken] == [lone, waits]
