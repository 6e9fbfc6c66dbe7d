"""How soon the house goes on, with the settings it comes with; what is measured is printed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import codex32_violence.arena
import pytest
import redis as redis_client
from codex32_houses import until
from codex32_violence.arena import Arena

pytestmark = pytest.mark.fault

DEAD_WORKER_SECONDS = 15.0
LOST_BELL_SECONDS = 5.0
DEAD_SCHEDULER_SECONDS = 10.0
SLOW = """\
steps:
  - id: slow
    type: python
    with: {code: "import time\\n\\ndef main():\\n    time.sleep(10)\\n"}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def default_arena(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arena]:
    server = None
    if request.param == "postgresql":
        server = request.getfixturevalue("harmed_postgres")
    with codex32_violence.arena.arena(tmp_path, request.param, server) as built:
        yield built


def test_the_dead_are_replaced_in_time(
    default_arena: Arena, capsys: pytest.CaptureFixture[str]
) -> None:
    arena = default_arena
    house = arena.house
    arena.open(workers=2, schedulers=2, only=("line",))
    house.write("slow", SLOW)
    arena.await_bots("slow")
    arena.add("tick")
    measured: dict[str, float] = {}

    # A dead worker: its execution runs again. The other one is there, and cannot take it first.
    until(lambda: house.told().count("codex32_workers.worker") >= 2, "both are ready")
    arena.freeze_idle("worker 2")
    arena.load.submit(["slow"])
    (slow,) = arena.load.acknowledged.values()
    standing = f"SELECT status, attempt FROM execution WHERE id = '{slow}'"
    until(lambda: arena.rows.ask(standing)[0][0] == "running", "it runs")
    house.end("worker 1", signal.SIGKILL)
    house.signal("worker 2", signal.SIGCONT)
    began = time.monotonic()
    until(lambda: arena.rows.ask(standing)[0][1] == 2, "it runs again")
    measured["dead worker"] = time.monotonic() - began

    # A dead scheduler: the other one answers the times.
    ticks = "SELECT count(*) FROM occurrence"
    house.end("scheduler 1", signal.SIGKILL)
    count, began = arena.rows.ask(ticks)[0][0], time.monotonic()
    until(lambda: arena.rows.ask(ticks)[0][0] >= count + 2, "it ticks")
    measured["dead scheduler"] = time.monotonic() - began

    # A lost bell: the ticket is gone before a worker could hear of it.
    with redis_client.Redis.from_url(arena.redis.url) as client:
        arena.freeze_idle("worker 2")
        client.client_kill_filter(_type="normal")  # else Redis has handed it over already
        arena.load.submit(["line"])
        client.flushall()
        house.signal("worker 2", signal.SIGCONT)
    began = time.monotonic()
    last = list(arena.load.acknowledged.values())[-1]
    ended = f"SELECT finished_at FROM execution WHERE id = '{last}'"
    until(lambda: arena.rows.ask(ended)[0][0], "it was heard", every=0.01)
    measured["lost bell"] = time.monotonic() - began

    with capsys.disabled():
        told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in measured.items())
        print(f"\n{arena.kind}: {told}")
    assert measured["dead worker"] < DEAD_WORKER_SECONDS
    assert measured["dead scheduler"] < DEAD_SCHEDULER_SECONDS
    assert measured["lost bell"] < LOST_BELL_SECONDS
    arena.close_books().check()


def test_two_and_five_schedulers_frozen_and_killed_answer_every_time_once(arena: Arena) -> None:
    house = arena.house
    house.environment["CODEX32_SCHEDULER__MISSED_AFTER_SECONDS"] = "3600"
    arena.open(workers=1, schedulers=2, only=())
    arena.add("tick")
    house.signal("scheduler 2", signal.SIGSTOP)
    time.sleep(2.5)
    house.signal("scheduler 2", signal.SIGCONT)
    house.end("scheduler 1", signal.SIGKILL)
    five = ["scheduler 2", *(house.employ("scheduler", number) for number in range(3, 7))]
    until(lambda: house.told().count("codex32_workers.scheduler") >= 6, "five are ready")
    for name in five[1:]:
        house.signal(name, signal.SIGSTOP)
        time.sleep(0.7)
    for name in five[1:]:
        house.signal(name, signal.SIGCONT)
    house.end(five[0], signal.SIGKILL)
    time.sleep(2.5)

    books = arena.close_books()

    books.check()
    assert books.counts["occurrences"] >= 8


@pytest.mark.parametrize("arena", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("role", "point"), [("worker", "commit.before@6"), ("scheduler", "tick.before_commit")]
)
def test_a_process_frozen_in_the_middle_of_a_transaction_holds_nobody_up_for_long(
    arena: Arena, role: str, point: str
) -> None:
    arena.open(workers=1, schedulers=1, only=("send", "line"))
    name, _, which = point.partition("@")
    armed = f"{name}=stop" + (f"@{which}" if which else "")
    frozen = arena.house.employ(role, 9, CODEX32_FAULT_POINTS=armed)
    if role == "scheduler":
        arena.house.end("scheduler 1")
        arena.add("tick")
    arena.load.start(["send", "line"], per_second=15, seed=13)
    pid = arena.house.processes[frozen].pid
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T", "frozen")
    if role == "scheduler":
        arena.house.employ("scheduler", 10)
    time.sleep(1)
    arena.load.stop()

    # It is still frozen, and everything ends all the same.
    arena.stop_ticking()
    arena.settle(30)
    assert arena.rows.live() == 0

    arena.house.signal(frozen, signal.SIGCONT)
    arena.close_books().check()
