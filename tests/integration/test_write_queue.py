"""Writers of one SQLite file wait for each other, briefly and without harm."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from codex32.kernel.connection import connect, transaction
from codex32.kernel.write_queue import WriteQueue

HOLD = """
import sys, time
from codex32.kernel.write_queue import WriteQueue
queue = WriteQueue(sys.argv[1])
queue.enter(5)
print("in", flush=True)
time.sleep(60)
"""


def test_one_writer_is_inside_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def write(number: int) -> None:
        queue = WriteQueue(str(tmp_path / "lock"))
        for _ in range(50):
            queue.enter(30)
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)
            queue.leave()
        queue.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (300, 1)


def test_who_waited_long_enough_goes_on_and_sqlite_decides(tmp_path: Path) -> None:
    first, second = (WriteQueue(str(tmp_path / "lock")) for _ in range(2))
    first.enter(1)
    began = time.monotonic()
    second.enter(0.2)
    assert time.monotonic() - began >= 0.2
    first.close()
    second.close()


def test_a_killed_writer_lets_the_next_one_in(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder = subprocess.Popen([sys.executable, "-P", "-c", HOLD, path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"in\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    queue = WriteQueue(path)
    began = time.monotonic()
    queue.enter(30)
    assert time.monotonic() - began < 15
    queue.close()


def test_a_file_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    queue = WriteQueue(str(tmp_path / "missing" / "lock"))
    queue.enter(30)
    queue.leave()
    queue.close()


def test_a_transaction_that_fails_gives_its_turn_away(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    one, other = connect(f"sqlite:///{path}"), connect(f"sqlite:///{path}")
    one.execute_sql("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    for database in (one, other, one):
        try:
            with transaction(database):
                database.execute_sql("INSERT INTO t VALUES (1)")
                raise KeyError
        except KeyError:
            pass
    with transaction(other):
        other.execute_sql("INSERT INTO t VALUES (1)")
    assert one.execute_sql("SELECT count(*) FROM t").fetchone() == (1,)
    assert (tmp_path / "a.db-writers").exists()
    one.close()
    other.close()
