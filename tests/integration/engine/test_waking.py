"""Parents whose children end while they go to wait: whatever the clocks say, they are woken."""

from __future__ import annotations

import pytest

from codex32.engine.advance import Advance, End
from codex32.engine.record import advance
from codex32.kernel.models import ExecutionRow
from codex32.services.recovery import recover

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
