"""Waiting for the slot of a rate limit before a try is made."""

from __future__ import annotations

from codex32.engine.records import rates
from codex32.engine.records.slots import Rule
from codex32.engine.running.course import Course
from codex32.engine.running.entry import Entry, Parked


async def await_slot(course: Course, entry: Entry, key: str, rule: Rule) -> Parked | None:
    """Wait for this try's slot; a wait that is not short holds no worker.

    Returns:
      None once the try may begin.
    """
    prior, slot = entry.prior, None
    taken = None if prior is None or prior.final else prior.note.get("rate")
    if taken is not None:
        key, slot = taken["key"], taken["at"]
    slot = await rates.turn(course.env.door, course.env.clock, key, rule, slot)
    if slot is None:
        return None
    course.await_slot(key, slot)
    until = slot - rates.NEAR_MICROS
    note = {"rate": {"key": key, "at": slot}, "until": until}
    await entry.park(until, note)
    return Parked(until)
