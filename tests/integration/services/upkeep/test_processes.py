import os

from codex32.kernel.database import Door
from codex32.services.upkeep import processes

SECOND = 1_000_000


def test_a_process_lives_while_its_heart_beats(door: Door, now: int) -> None:
    door.write_now(lambda: processes.heartbeat("prc_1", "worker", now, now))
    door.write_now(lambda: processes.heartbeat("prc_1", "worker", now, now + 10 * SECOND))

    (row,) = door.read_now(processes.living, now + 39 * SECOND, 30)

    assert (row.id, row.kind, row.pid) == ("prc_1", "worker", os.getpid())
    assert (row.started_at, row.seen_at) == (now, now + 10 * SECOND)
    assert door.read_now(processes.living, now + 41 * SECOND, 30) == []


def test_a_process_that_stops_is_forgotten_and_a_silent_one_later(door: Door, now: int) -> None:
    for name in ("prc_1", "prc_2", "prc_3"):
        door.write_now(lambda name=name: processes.heartbeat(name, "worker", now, now))
    door.write_now(lambda: processes.heartbeat("prc_3", "worker", now, now + 60 * SECOND))

    door.write_now(lambda: processes.forget("prc_1"))
    gone = door.write_now(lambda: processes.forget_silent(now + 61 * SECOND, after_seconds=30))

    assert gone == 1
    assert [row.id for row in door.read_now(processes.living, now, 3600)] == ["prc_3"]
