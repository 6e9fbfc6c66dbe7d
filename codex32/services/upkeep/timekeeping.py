"""One time for the whole house: the database's, where it has one, and what is done when it jumps.

Leases and due times are written by one process and judged by others. With PostgreSQL all of them
go by its clock, so a machine whose own clock is wrong does no harm. With SQLite they run on one
machine and share its clock.
"""

from __future__ import annotations

import logging

from codex32.kernel.clock import Clock, SystemClock, steady_micros
from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.models import database_proxy

log = logging.getLogger(__name__)

#: An answer that took longer says too little about the moment.
_QUICK_MICROS = 500_000
#: What a clock may be put right by without anybody noticing.
_JUMP_MICROS = 1_000_000


def ask() -> tuple[int, int] | None:
    """The database's time, and the steady time at which it was asked; None without an answer.

    SQLite has no clock of its own.
    """
    if is_sqlite():
        return None
    answers = []
    for _ in range(3):  # the first may wait for a connection, and then says little
        began = steady_micros()
        (told,) = database_proxy.execute_sql(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        ).fetchone()
        ended = steady_micros()
        answers.append((ended - began, int(told), (began + ended) // 2))
    took, told, asked = min(answers)
    return (told, asked) if took < _QUICK_MICROS else None


def follow(clock: Clock) -> None:
    """Go by the database's time; a clock of a test stays as it is."""
    answer = ask() if isinstance(clock, SystemClock) else None
    if answer is not None and isinstance(clock, SystemClock):
        clock.follow(*answer)


class Timekeeper:
    """Keeps a process at the house's time, and notices when that jumps.

    Args:
      settle_seconds: After a jump leases say nothing until their workers have renewed them: this
        long, counted from when it was noticed.
    """

    def __init__(self, clock: Clock, settle_seconds: float) -> None:
        self._clock = clock
        self._settle = int(settle_seconds * 1e6)
        self._seen = (clock.micros(), steady_micros())
        self._settled_at = 0

    async def look(self, door: Door) -> bool:
        """Ask for the time; whether leases can be judged by it."""
        await door.read(follow, self._clock)
        now, steady = self._clock.micros(), steady_micros()
        jump = (now - self._seen[0]) - (steady - self._seen[1])
        self._seen = (now, steady)
        if abs(jump) > _JUMP_MICROS:
            log.warning("the clock jumped by %.1f s; leases are given time", jump / 1e6)
            self._settled_at = steady + self._settle
        return steady >= self._settled_at
