"""Redis, PostgreSQL and the disk harmed under load."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import codex32_violence.arena
import pytest
import redis as redis_client
from codex32_houses import descendants, until
from codex32_postgres import PrivatePostgres
from codex32_violence import bots
from codex32_violence.arena import CALM, Arena
from codex32_violence.disk import small_disk
from codex32_violence.violence import Violence

pytestmark = pytest.mark.fault

only_postgresql = pytest.mark.parametrize("proxied_arena", ["postgresql"], indirect=True)
LOAD = [name for name in bots.EFFECTS if name != "tick"]
#: A program that says when it runs, so that two of them at once are seen, until it is told to end.
LONG = """\
inputs: {{path: {{type: string, default: "{path}"}}}}
steps:
  - id: long
    type: python
    with:
      args: {{path: "${{{{ inputs.path }}}}"}}
      code: |
        import os, time
        def main(path):
            with open(path, "a") as file:
                for _ in range(600):
                    if os.path.exists(path + ".end"):
                        break
                    file.write(f"{{os.getpid()}} {{time.monotonic()}}\\n")
                    file.flush()
                    time.sleep(0.1)
"""


def violence(arena: Arena, seed: int = 7) -> Violence:
    return Violence(arena, random.Random(seed))


def test_redis_killed_emptied_frozen_and_full_of_junk_under_load(proxied_arena: Arena) -> None:
    arena = proxied_arena
    arena.house.environment |= CALM
    arena.open()
    harm = violence(arena)
    arena.load.start(LOAD, per_second=15, seed=3)
    for blow in (
        "Redis killed",
        "junk in Redis",
        "Redis emptied",
        "answers of Redis lost",
        "junk in Redis",
    ):
        harm.strike(blow)
        harm.rest(1.5)
    with redis_client.Redis.from_url(arena.redis.url) as client:
        client.set("dramatiq:executions", "not a list")
        client.set("dramatiq:executions.msgs", "not a hash")
    harm.rest(1.0)
    # For longer than a lease; ninety seconds make no difference; they are below.
    harm.freeze_redis(12)
    harm.rest(13)
    arena.load.stop()
    until(lambda: arena.redis_proxy and arena.redis_proxy.lost, "answers were lost")

    books = arena.close_books()

    books.check()
    # Nobody died of it, and nothing was done twice for it.
    lost = arena.rows.ask("SELECT * FROM attempt WHERE outcome = 'lost'")
    assert not lost, f"{lost}:\n{arena.house.said.read_text(errors='replace')[-20_000:]}"
    assert books.counts["sent again"] == 0


@pytest.mark.long
def test_redis_frozen_for_ninety_seconds(arena: Arena) -> None:
    arena.open()
    arena.load.start(LOAD, per_second=5, seed=4)
    with arena.frozen_redis():
        time.sleep(90)
        taken = len(arena.load.acknowledged)
    arena.load.stop()
    books = arena.close_books()
    books.check()
    assert taken > 100
    assert books.counts["lost attempts"] == 0


@only_postgresql
def test_postgresql_killed_and_restarted_under_load(proxied_arena: Arena) -> None:
    arena = proxied_arena
    arena.open()
    arena.add("tick")
    server = arena.postgres
    assert isinstance(server, PrivatePostgres)
    arena.load.start(LOAD, per_second=15, seed=5)
    for away in (0.0, 1.0, 5.0):
        time.sleep(1.5)
        server.kill()
        time.sleep(away)
        server.start()
    time.sleep(1)
    harm = violence(arena)
    for blow in ("backends ended", "PostgreSQL cut off", "answers of PostgreSQL lost"):
        harm.strike(blow)
        harm.rest(1.5)
    arena.load.stop()

    books = arena.close_books()

    books.check()
    assert books.counts["acknowledged"] > 50


def test_a_database_that_is_silent_for_longer_than_the_lease(proxied_arena: Arena) -> None:
    arena = proxied_arena
    arena.open()
    arena.load.start(LOAD, per_second=15, seed=6)
    for seconds in (1, 5):
        time.sleep(1.5)
        with arena.silent_database():
            time.sleep(seconds)
    time.sleep(1)
    arena.load.stop()
    arena.close_books().check()


@only_postgresql
def test_a_worker_without_its_database_stops_before_another_begins(
    proxied_arena: Arena, tmp_path: Path
) -> None:
    arena = proxied_arena
    arena.open(workers=0, only=())
    path = tmp_path / "beats"
    arena.house.write("long", LONG.format(path=path))
    arena.await_bots("long")
    arena.house.employ("worker", 1)
    arena.load.submit(["long"])
    until(path.exists, "it runs")
    # The other one has a line of its own, which works.
    arena.house.employ("worker", 2, CODEX32_DATABASE_URL=arena.database_url)
    until(lambda: arena.house.told().count("codex32_workers.worker") >= 2, "both are ready")

    def programs() -> list[int]:
        below = descendants(arena.house.processes["worker 1"].pid)
        return [pid for pid, text in below if "codex32-program" in text]

    until(programs, "its program is seen")
    program = programs()[0]
    assert arena.database_proxy is not None
    arena.database_proxy.stall()
    cut_at = time.monotonic()

    def beats() -> list[tuple[int, float]]:
        lines = path.read_text().split("\n")[:-1]
        return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]

    until(lambda: len({pid for pid, _ in beats()}) == 2, "the other one has begun it")
    arena.database_proxy.flow()
    path.with_name("beats.end").touch()
    arena.settle(30)

    told = beats()
    first, second = dict.fromkeys(pid for pid, _ in told)
    ended = max(at for pid, at in told if pid == first)
    began = min(at for pid, at in told if pid == second)
    assert ended < began, f"{ended - cut_at:.1f} {began - cut_at:.1f}"
    assert not os.path.exists(f"/proc/{program}")
    arena.close_books().check()


@pytest.fixture(params=["sqlite", "postgresql"])
def full_arena(
    request: pytest.FixtureRequest, tmp_path: Path, short: dict[str, str]
) -> Iterator[tuple[Arena, Violence]]:
    """An arena whose database is on a small disk."""
    with small_disk(512) as disk, ExitStack() as stack:
        data = disk.folder / "data"
        data.mkdir()
        server = None
        if request.param == "postgresql":
            # Not below the test's own folder, into which no other user may look.
            place = stack.enter_context(TemporaryDirectory(prefix="codex32-test-"))
            server = PrivatePostgres(Path(place))
            server.initialise(data)
            server.start(max_wal_size="64MB", min_wal_size="32MB")
            stack.callback(server.stop)
        with codex32_violence.arena.arena(
            tmp_path, request.param, server, data=data, **short
        ) as built:
            yield built, Violence(built, random.Random(1), disk=disk)


def test_a_full_disk_loses_nothing_that_was_acknowledged(
    full_arena: tuple[Arena, Violence],
) -> None:
    arena, harm = full_arena
    arena.open()
    arena.add("tick")
    arena.load.start(LOAD, per_second=15, seed=8)
    for seconds in (1, 6):
        harm.rest(1.5)
        harm.fill_disk(seconds)
        harm.rest(seconds + 0.5)
    harm.rest(1)
    arena.load.stop()

    books = arena.close_books()

    books.check()
    assert "the engine failed" not in arena.house.told()
    assert books.counts["acknowledged"] > 20


def test_ten_thousand_queued_executions_through_deaths_and_a_rolling_restart(
    arena: Arena,
) -> None:
    arena.open(workers=0, only=("line", "send", "count"))
    source = itertools.cycle(["line"] * 95 + ["send"] * 4 + ["count"])
    names = [next(source) for _ in range(10_000)]
    began = time.monotonic()
    arena.load.submit_many(names)
    taken = time.monotonic() - began
    for number in (1, 2):
        arena.house.employ("worker", number)
    harm = violence(arena)
    for blow in ("worker killed", "worker stopped", "Redis emptied", "worker stopped"):
        harm.rest(2)
        harm.strike(blow)
    harm.rest(1)

    books = arena.close_books(100)

    books.check()
    assert books.counts["acknowledged"] == 10_000
    print(f"\n10,000 taken in {taken:.0f} s, ended after {time.monotonic() - began:.0f} s")
