"""Which of a trigger's times have come: those that are due, and those that were missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codex32.kernel.bot import OnMissed

#: Most missed times that are made up for after one outage; later ones are passed over.
MAX_MADE_UP = 100

#: The first time after the one given, or None; times in microseconds.
After = Callable[[int], int | None]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of one trigger that have come.

    Attributes:
      due: To be answered now, in order.
      made_up: Missed, and to be answered all the same, in order; all earlier than ``due``.
      missed: First and last of those that are passed over, or None.
      next_at: The first time that is still to come.
    """

    due: tuple[int, ...]
    made_up: tuple[int, ...]
    missed: tuple[int, int] | None
    next_at: int | None


def come(first: int, after: After, now: int, patience: int, on_missed: OnMissed) -> Times:
    """Sort out the times from ``first``, which has come, until ``now``.

    Args:
      first: The time that the trigger was waiting for.
      after: Tells the grid.
      now: The present.
      patience: How late a time may be answered, in microseconds; later it is missed.
      on_missed: What is done about missed times; ``last`` makes up for one of them where none
        is due.
    """
    limit = now - patience
    due: list[int] = []
    next_at = first if first >= limit else after(limit - 1)
    while next_at is not None and next_at <= now:
        due.append(next_at)
        next_at = after(next_at)
    if first >= limit:
        return Times(tuple(due), (), None, next_at)
    if on_missed == "all":
        made_up: list[int] = []
        time: int | None = first
        while time is not None and time < limit and len(made_up) < MAX_MADE_UP:
            made_up.append(time)
            time = after(time)
        rest = time if time is not None and time < limit else None
        missed = (rest, last_before(rest, after, limit)) if rest is not None else None
        return Times(tuple(due), tuple(made_up), missed, next_at)
    last = last_before(first, after, limit)
    if on_missed == "last" and not due:
        earlier = last_before(first, after, last) if last > first else None
        missed = (first, earlier) if earlier is not None else None
        return Times((), (last,), missed, next_at)
    return Times(tuple(due), (), (first, last), next_at)


def last_before(first: int, after: After, limit: int) -> int:
    """The last time of the grid from ``first`` (earlier than ``limit``) that is before ``limit``.

    The gap is halved again and again, so that a year of seconds costs some dozen questions.
    """
    best = first
    while True:
        following = after(best)
        if following is None or following >= limit:
            return best
        best = following
        jump = after(best + (limit - best) // 2)
        if jump is not None and jump < limit:
            best = jump
