"""The door to the database, on both databases: shared commits, lone faults, outages, the end."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import peewee as pw
import pytest

from codex32.kernel.database import Door, announce, connect, is_sqlite
from codex32.kernel.models import StateRow

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def put(key: str, value: str = "1") -> None:
    StateRow.insert(bot_id="bot", key=key, value=value, updated_at=0).execute()


def put_all(keys: Sequence[str]) -> list[str]:
    for key in keys:
        put(key)
    return [key.upper() for key in keys]


def keys() -> list[str]:
    return [row.key for row in StateRow.select().order_by(StateRow.key)]


class Held:
    """Keeps the writer busy, so that what comes meanwhile waits and then shares a commit."""

    def __init__(self, door: Door) -> None:
        self._begun, self._go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=door.write_now, args=(self._wait,))

    def _wait(self) -> None:
        self._begun.set()
        assert self._go.wait(60)

    def __enter__(self) -> Held:
        self._thread.start()
        assert self._begun.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._thread.join()


async def _started(*coroutines) -> list[asyncio.Task]:
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    await asyncio.sleep(0)  # each has put its write
    return tasks


# commits


async def test_writes_that_wait_together_share_one_commit(door: Door) -> None:
    with Held(door):
        tasks = await _started(
            *(door.write_many(put_all, f"k{i:03}") for i in range(100)),
            *(door.write(lambda i=i: put(f"s{i}")) for i in range(10)),
        )
    answers = await asyncio.gather(*tasks)
    assert answers[:100] == [f"K{i:03}" for i in range(100)]
    assert (door.commits, door.writes) == (2, 111)
    assert len(await door.read(keys)) == 110


async def test_items_of_one_work_are_handed_to_it_together(door: Door) -> None:
    calls: list[int] = []

    def work(items: Sequence[int]) -> Sequence[int]:
        calls.append(len(items))
        return items

    with Held(door):
        tasks = await _started(*(door.write_many(work, i) for i in range(700)))
    assert await asyncio.gather(*tasks) == list(range(700))
    assert calls == [512, 188]


async def test_what_was_written_can_be_read_when_the_answer_comes(door: Door) -> None:
    for i in range(20):
        await door.write(lambda i=i: put(f"{i:02}"))
        assert len(await door.read(keys)) == i + 1


def test_threads_without_a_loop_are_served_as_well(door: Door) -> None:
    assert door.write_now(lambda: put("a")) is None
    assert door.write_many_now(put_all, "b") == "B"
    assert door.read_now(keys) == ["a", "b"]


@only_postgresql
def test_a_write_apart_waits_for_no_other(door: Door) -> None:
    with Held(door):
        assert door.write_apart(lambda: put("a") or "done", patience_seconds=10.0) == "done"
        assert door.read_now(keys) == ["a"]
    door.database.close()  # of this thread


def test_a_write_apart_is_whole_told_and_fails_alone(open_door) -> None:
    told = []
    door = open_door(on_commit=told.extend)

    def half() -> None:
        put("b")
        announce("exe_half")
        raise KeyError("b")

    with pytest.raises(KeyError):
        door.write_apart(half, patience_seconds=10.0)
    door.write_apart(lambda: (put("c"), announce("exe_c")), patience_seconds=10.0)
    assert door.read_now(keys) == ["c"]
    door.database.close()
    door.close()
    assert told == ["exe_c"]
    with pytest.raises(RuntimeError, match="closed"):
        door.write_apart(lambda: None, patience_seconds=10.0)


def test_a_posted_write_happens_though_nobody_waits(door: Door, caplog) -> None:
    door.post(put_all, "a")
    door.post(put_all, "a")
    door.post(put_all, "b")
    door.write_now(lambda: None)
    assert door.read_now(keys) == ["a", "b"]
    assert "a write that nobody waits for failed: " in caplog.text


# faults of one write


async def test_a_bad_item_fails_alone(door: Door) -> None:
    with Held(door):
        items = ["a", "b", "a", "c"]
        tasks = await _started(*(door.write_many(put_all, item) for item in items))
        others = await _started(door.write(lambda: put("a")), door.write(lambda: put("d")))
    answers = await asyncio.gather(*tasks, *others, return_exceptions=True)
    faults = [isinstance(answer, pw.IntegrityError) for answer in answers]
    assert faults == [False, False, True, False, True, False]
    assert await door.read(keys) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("error", [KeyError("x"), StopIteration(), pw.DataError()])
async def test_any_error_is_its_callers_alone(door: Door, error: BaseException) -> None:
    def fail() -> None:
        put("half")
        raise error

    with Held(door):
        tasks = await _started(door.write(fail), door.write(lambda: put("a")))
        caught = asyncio.gather(*tasks, return_exceptions=True)
    first, second = await caught
    wanted = RuntimeError if isinstance(error, StopIteration) else type(error)
    assert type(first) is wanted
    assert second is None
    assert await door.read(keys) == ["a"]


def test_not_even_a_call_to_exit_stops_the_writer(door: Door) -> None:
    with pytest.raises(SystemExit):
        door.write_now(lambda: sys.exit(3))
    assert door.write_now(lambda: 1) == 1


async def test_a_work_with_too_few_answers_is_refused(door: Door) -> None:
    with pytest.raises(ValueError, match="shorter"):
        await door.write_many(lambda items: [], 1)


async def test_a_fault_of_a_statement_is_told_at_once(door: Door) -> None:
    mark = "?" if is_sqlite() else "%s"
    faults: list[Callable[[], object]] = [
        lambda: door.database.execute_sql("SELECT * FROM nowhere"),
        lambda: door.database.execute_sql("SELEKT 1"),
        lambda: door.database.execute_sql(f"SELECT {mark}", (object(),)),
        lambda: door.database.execute_sql(f"SELECT {mark}", ("\ud800",)),
    ]
    began = time.monotonic()
    for fault in faults:
        with pytest.raises((pw.PeeweeException, ValueError)):
            await door.write(fault)
        with pytest.raises((pw.PeeweeException, ValueError)):
            await door.read(fault)
    assert time.monotonic() - began < 2.0
    assert door.failing_since is None


async def test_a_caller_who_gives_up_spoils_nothing(door: Door) -> None:
    with Held(door):
        tasks = await _started(door.write(lambda: put("a")), door.write(lambda: put("b")))
        tasks[0].cancel()
    await tasks[1]
    assert await door.read(keys) == ["a", "b"]


def test_answers_for_a_loop_that_is_gone_are_dropped(door: Door) -> None:
    async def leave() -> None:
        await _started(door.write(lambda: put("a")))

    with Held(door):
        asyncio.run(leave())
    assert door.write_now(keys) == ["a"]


# what is announced


async def test_what_is_announced_is_told_after_the_commit_and_in_order(open_door, database_url):
    told: list[str] = []
    seen: list[int] = []

    def on_commit(notices: Sequence[object]) -> None:
        other = connect(database_url)
        cursor = other.execute_sql("SELECT count(*) FROM state")
        seen.append(cursor.fetchone()[0])
        cursor.close()
        other.close()
        told.extend(map(str, notices))

    door = open_door(on_commit=on_commit)

    def work(key: str) -> None:
        put(key)
        announce(key)

    with Held(door):
        tasks = await _started(*(door.write(lambda k=k: work(k)) for k in "abc"))
    await asyncio.gather(*tasks)
    await door.write(lambda: work("d"))
    await asyncio.to_thread(door.close)
    assert told == ["a", "b", "c", "d"]
    assert seen[0] >= 3


async def test_what_a_failed_write_announced_is_forgotten(open_door) -> None:
    told: list[object] = []
    door = open_door(on_commit=told.extend)

    def work(items: Sequence[str]) -> Sequence[str]:
        for item in items:
            announce(item)
            if item == "bad":
                raise ValueError(item)
        return items

    with Held(door):
        tasks = await _started(*(door.write_many(work, item) for item in ("a", "bad", "b")))
        caught = asyncio.gather(*tasks, return_exceptions=True)
    await caught
    await asyncio.to_thread(door.close)
    assert told == ["a", "b"]


def test_a_listener_that_fails_harms_nobody(open_door, caplog) -> None:
    def on_commit(notices: Sequence[object]) -> None:
        raise RuntimeError("deaf")

    door = open_door(on_commit=on_commit)
    door.write_now(lambda: announce("a"))
    door.write_now(lambda: put("a"))
    door.close()
    assert "deaf" in caplog.text


def test_nothing_can_be_announced_outside_a_write(door: Door) -> None:
    with pytest.raises(RuntimeError, match=r"through Door\.write"):
        announce("a")
    with pytest.raises(RuntimeError, match=r"through Door\.write"):
        door.read_now(announce, "a")


# outages

_KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


@only_postgresql
async def test_a_connection_cut_in_the_middle_of_a_write_is_made_again(
    door: Door, postgres_server, database_url, caplog
) -> None:
    tries: list[int] = []

    def cut() -> None:
        put("a")
        tries.append(1)
        if len(tries) < 3:
            postgres_server.execute(_KILL, database_url.split("?")[0].rpartition("/")[2])

    with Held(door):
        tasks = await _started(door.write(cut), door.write(lambda: put("b")))
    await asyncio.gather(*tasks)
    assert len(tries) == 3
    assert await door.read(keys) == ["a", "b"]
    assert door.failing_since is None
    assert "trying again" in caplog.text
    assert "can be written again" in caplog.text


@only_postgresql
async def test_a_connection_cut_while_idle_is_not_noticed_by_callers(
    door: Door, postgres_server, database_url
) -> None:
    name = database_url.split("?")[0].rpartition("/")[2]
    for key in "ab":
        await door.write(lambda key=key: put(key))
        assert key in await door.read(keys)
        postgres_server.execute(_KILL, name)
    assert await door.read(keys) == ["a", "b"]
    assert await door.write(keys) == ["a", "b"]


@only_postgresql
async def test_a_sure_read_outlasts_an_outage_that_fails_others(
    door: Door, postgres_server, database_url
) -> None:
    name = database_url.split("?")[0].rpartition("/")[2]
    await door.write(lambda: put("a"))
    postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        postgres_server.execute(_KILL, name)
        sure = asyncio.ensure_future(door.read_surely(keys))
        with pytest.raises(pw.OperationalError, match="not currently accepting"):
            await door.read(keys)
        assert not sure.done()
    finally:
        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert await sure == ["a"]


def _lock(url: str) -> sqlite3.Connection:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


@only_sqlite
async def test_a_file_locked_by_another_is_waited_for_up_to_the_deadline(
    door: Door, database_url
) -> None:
    await door.write(lambda: door.database.execute_sql("PRAGMA busy_timeout = 10"))
    other = _lock(database_url)
    lasting = asyncio.ensure_future(door.write(lambda: put("a"), patience_seconds=None))
    with pytest.raises(pw.OperationalError, match="locked"):
        await door.write(lambda: put("b"), patience_seconds=0.0)
    assert door.failing_since is not None
    assert not lasting.done()
    other.execute("COMMIT")
    other.close()
    await lasting
    assert door.failing_since is None
    assert await door.read(keys) == ["a"]


@only_sqlite
async def test_a_full_disk_is_waited_for_however_deep_in_a_write_it_shows(door: Door) -> None:
    limit = 0

    def write() -> int:
        nonlocal limit
        if not limit:  # of this connection alone, so that the next one finds room again
            limit = door.database.execute_sql("PRAGMA page_count").fetchone()[0]
            door.database.execute_sql(f"PRAGMA max_page_count = {limit}")
        for number in range(200):
            put(f"long {number}", "x" * 4000)
        return limit

    assert await door.write(write) == limit
    assert len(await door.read(keys)) == 200


@only_sqlite
async def test_a_full_disk_is_told_as_such(door: Door) -> None:
    def write() -> None:
        count = door.database.execute_sql("PRAGMA page_count").fetchone()[0]
        door.database.execute_sql(f"PRAGMA max_page_count = {count}")
        for number in range(200):
            put(f"long {number}", "x" * 4000)

    with pytest.raises(pw.OperationalError, match="is full"):
        await door.write(write, patience_seconds=0.0)


@only_sqlite
async def test_closing_during_an_outage_gives_up_what_would_wait_for_ever(
    door: Door, database_url
) -> None:
    other = _lock(database_url)
    lasting = asyncio.ensure_future(door.write(lambda: put("a"), patience_seconds=None))
    await asyncio.sleep(0)
    await asyncio.to_thread(door.close)
    with pytest.raises(pw.OperationalError, match="locked"):
        await lasting
    other.close()


def test_a_database_that_is_not_there_is_told_when_patience_ends(tmp_path: Path) -> None:
    door = Door(connect(f"sqlite:///{tmp_path}/no/folder/x.db"))
    with pytest.raises(pw.OperationalError, match="unable to open"):
        door.write_now(lambda: put("a"), patience_seconds=0.0)
    door.close()


# the end


async def test_closing_finishes_what_waits(open_door) -> None:
    door = open_door()
    with Held(door):
        tasks = await _started(*(door.write_many(put_all, f"{i}") for i in range(9)))
        closing = asyncio.create_task(asyncio.to_thread(door.close))
    await asyncio.gather(*tasks, closing)
    assert len(await open_door().read(keys)) == 9


async def test_a_closed_door_refuses(door: Door) -> None:
    await asyncio.to_thread(door.close)
    await asyncio.to_thread(door.close)
    for attempt in (door.write(lambda: put("a")), door.write_many(put_all, "a")):
        with pytest.raises(RuntimeError, match="closed"):
            await attempt
    with pytest.raises(RuntimeError, match="closed"):
        await asyncio.to_thread(door.write_now, lambda: put("a"))


@only_postgresql
async def test_a_closed_door_leaves_no_connection(door: Door, postgres_server, database_url):
    await asyncio.gather(*(door.read(keys) for _ in range(20)), door.write(lambda: put("a")))
    await asyncio.to_thread(door.close)
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    name = database_url.split("?")[0].rpartition("/")[2]
    deadline = time.monotonic() + 60
    while postgres_server.execute(count, name) != [(0,)]:
        assert time.monotonic() < deadline  # the server lets go a moment after we did


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no database is reached by 'mysql'; write sqlite:///"):
        connect("mysql://x")


# statements that travel together


@only_postgresql
async def test_a_deferred_statement_fails_with_what_it_travels_with(door: Door) -> None:
    await door.write(lambda: put("a"))

    def twice() -> None:
        door.database.defer("INSERT INTO state VALUES ('bot', %s, '1', 0)", ("a",))

    with pytest.raises(pw.IntegrityError):
        await door.write(twice)
    with Held(door):
        tasks = await _started(door.write(twice), door.write(lambda: put("b")))
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, pw.IntegrityError)
    assert second is None
    assert await door.read(keys) == ["a", "b"]


@only_postgresql
async def test_what_is_deferred_is_seen_by_the_next_statement(door: Door) -> None:
    def work() -> list[str]:
        door.database.defer("INSERT INTO state VALUES ('bot', %s, %s, 0)", ("100%s", "%d;'\\"))
        return keys()

    assert await door.write(work) == ["100%s"]
    value = await door.read(lambda: StateRow.select(StateRow.value).scalar())
    assert value == "%d;'\\"


@only_postgresql
async def test_what_is_deferred_and_undone_leaves_no_trace(door: Door) -> None:
    def work() -> None:
        door.database.defer("INSERT INTO state VALUES ('bot', %s, '1', 0)", ("a",))
        raise KeyError

    with pytest.raises(KeyError):
        await door.write(work)
    assert await door.write(keys) == []


@only_postgresql
async def test_the_last_statement_takes_the_commit_along_unless_others_came_before(
    door: Door,
) -> None:
    sql = "INSERT INTO state VALUES ('bot', %s, '1', 0) RETURNING key"

    def elsewhere() -> list[str]:
        with ThreadPoolExecutor(1) as other:
            return other.submit(lambda: (keys(), door.database.close())).result()[0]

    def alone() -> list[str]:
        door.database.defer("SET LOCAL enable_sort = off", ())
        assert door.database.execute_last(sql, ("100%",)).fetchall() == [("100%",)]
        return elsewhere()

    def behind_others() -> None:
        put("b")
        door.database.execute_last(sql, ("c",))
        assert elsewhere() == ["100%"]
        raise KeyError

    assert await door.write(alone) == ["100%"]
    sort = "SELECT current_setting('enable_sort')"
    assert await door.write(lambda: door.database.execute_sql(sort).fetchall()) == [("on",)]
    with pytest.raises(KeyError):
        await door.write(behind_others)
    assert await door.write(keys) == ["100%"]


def test_a_write_apart_does_not_wait_for_the_disk_and_others_do(door: Door) -> None:
    asked = (
        ("PRAGMA synchronous", 2, 1) if is_sqlite() else ("SHOW synchronous_commit", "on", "off")
    )
    question, lasting, passing = asked

    def ask() -> object:
        return door.database.execute_sql(question).fetchone()[0]

    assert door.write_now(ask) == lasting
    assert door.write_apart(ask, patience_seconds=1.0) == passing
    assert door.read_now(ask) == lasting, "on the same thread"
