"""kill -9 at every boundary of a step, of a tick, and of an answer to a caller.

Each doomed process has one armed point and works beside the others on the same load; every one of
them must have died there before the books are closed.
"""

from __future__ import annotations

import signal
import time

import pytest
from codex32_houses import until
from codex32_violence import bots
from codex32_violence.arena import Arena

pytestmark = pytest.mark.fault

#: Points in a worker, and the pass at which it dies: later ones hit it in the middle of things.
IN_A_WORKER = [
    # First: whoever mends what others left passes it, and the scheduler is often quicker.
    "mend.before_commit",
    "take.before_commit",
    "take.after_commit",
    "attempt.begin",
    "effect.after_entry",
    "effect.after_entry@4",
    "step.after_try",
    "step.after_try@5",
    "record.before",
    "record.after",
    "record.after@7",
    "commit.before@9",
    "commit.after@9",
    "foreach.after_list",
    "foreach.after_item@3",
    "child.after_start",
    "execution.before_leave",
    "execution.after_leave",
    "wake.before_commit",
    "execution.closing",
    "execution.before_end",
    "execution.after_end",
]
LOAD = [name for name in bots.EFFECTS if name != "tick"]


def armed(point: str, action: str = "kill") -> dict[str, str]:
    name, _, number = point.partition("@")
    which = f"@{number}" if number else ""
    return {"CODEX32_FAULT_POINTS": f"{name}={action}{which}"}


@pytest.mark.timeout(400)
def test_a_worker_killed_at_any_boundary_loses_and_doubles_nothing(arena: Arena) -> None:
    arena.open(workers=0)
    left = list(IN_A_WORKER)
    under_way: dict[str, str] = {}
    arena.load.start(LOAD, per_second=12, seed=1)
    deadline = time.monotonic() + 180
    number = 0
    while left or under_way:
        while left and len(under_way) < 4:
            number += 1
            point = left.pop(0)
            under_way[arena.house.employ("worker", number, **armed(point))] = point
        for name, point in list(under_way.items()):
            code = arena.house.processes[name].poll()
            if code is not None:
                assert code == -signal.SIGKILL, f"{point}: {code}\n{arena.house.told()}"
                del under_way[name], arena.house.processes[name]
        assert time.monotonic() < deadline, f"never passed: {under_way} {left}"
        time.sleep(0.05)
    arena.load.stop()
    arena.house.employ("worker", 98)
    arena.house.employ("worker", 99)

    books = arena.close_books()

    books.check()
    assert books.counts["lost attempts"] >= 8
    assert books.counts["doubts"] >= 1


def test_schedulers_killed_in_the_middle_of_ticks_miss_none_and_fire_none_twice(
    arena: Arena,
) -> None:
    arena.open(workers=1, schedulers=0, only=())
    points = ["tick.after_claim", "tick.before_commit", "commit.after@3", "dispatch.before"]
    written = bots.texts(arena.world.url)["tick"]
    for number, point in enumerate(points):
        name = arena.house.employ("scheduler", number + 1, **armed(point))
        arena.house.write("tick", written)
        assert arena.house.processes.pop(name).wait(60) == -signal.SIGKILL
    died_at = time.time()

    arena.house.employ("scheduler", 99)

    sql = f"SELECT count(*) FROM occurrence WHERE evaluated_at > {int(died_at * 1e6)}"
    until(lambda: arena.rows.ask(sql)[0][0] >= 3, "it goes on")
    books = arena.close_books()
    books.check()
    assert books.counts["occurrences"] >= 6


def test_apis_killed_around_the_row_have_not_taken_in_vain(arena: Arena) -> None:
    arena.open(workers=1, only=("send",))
    arena.house.end("api 1", signal.SIGTERM)
    # The client asks until it is answered, with one key: by the API that dies, then by the next.
    arena.load.start(["send"], per_second=30, seed=2)
    for number, point in enumerate(["commit.before", "commit.after", "dispatch.before"]):
        name = arena.house.employ("api", number + 2, **armed(point))
        assert arena.house.processes.pop(name).wait(60) == -signal.SIGKILL
    arena.house.employ("api", 99)
    until(arena.house.answers, "an API")
    time.sleep(1)
    arena.load.stop()

    books = arena.close_books()

    books.check()
    assert arena.load.broken >= 3
    assert books.counts["executions"] == books.counts["acknowledged"] > 3
