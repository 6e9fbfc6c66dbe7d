"""Blows against a house, and what puts right what they broke, as an operator would."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import psycopg2
import redis as redis_client
from codex32_postgres import PrivatePostgres

from codex32_violence.arena import Arena
from codex32_violence.disk import Disk

LIST, MESSAGES = "dramatiq:executions", "dramatiq:executions.msgs"
#: Where an armed worker dies.
POINTS = (
    "take.before_commit",
    "take.after_commit",
    "attempt.begin",
    "effect.after_entry",
    "step.after_try",
    "record.before",
    "record.after",
    "commit.before",
    "commit.after",
    "foreach.after_list",
    "foreach.after_item",
    "child.after_start",
    "execution.before_leave",
    "execution.after_leave",
    "wake.before_commit",
    "execution.before_end",
    "execution.after_end",
    "mend.before_commit",
)
GARBAGE = (b"\xff\xfe\x00", b"", b"exe_nobody", b"'; DROP TABLE execution; --", b"x" * 10**6)


class Violence:
    """Harms an arena, one blow after another. All from one thread.

    Args:
      source: Of the choices: the same seed makes the same blows.
      disk: Where the database is, if it may be filled.

    Attributes:
      done: How often each blow fell.
    """

    def __init__(self, arena: Arena, source: random.Random, *, disk: Disk | None = None) -> None:
        self.arena, self.source, self.disk = arena, source, disk
        self.done: Counter[str] = Counter()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._numbers = itertools.count(100)
        self.blows: dict[str, Callable[[], None]] = {
            "worker killed": lambda: self.kill("worker"),
            "scheduler killed": lambda: self.kill("scheduler"),
            "API killed": lambda: self.kill("api"),
            "worker stopped": lambda: self.kill("worker", signal.SIGTERM),
            "worker dies at a point": self.arm_worker,
            "process frozen": self.freeze,
            "Redis killed": self.kill_redis,
            "Redis frozen": self.freeze_redis,
            "Redis emptied": self.empty_redis,
            "junk in Redis": self.fill_redis_with_junk,
            "database silent": self.silence_database,
        }
        if arena.redis_proxy is not None:
            self.blows["answers of Redis lost"] = lambda: arena.redis_proxy.lose(3)  # type: ignore[union-attr]
        if arena.database_proxy is not None:
            self.blows["answers of PostgreSQL lost"] = lambda: arena.database_proxy.lose(2)  # type: ignore[union-attr]
            self.blows["PostgreSQL cut off"] = lambda: arena.database_proxy.cut()  # type: ignore[union-attr]
        if isinstance(arena.postgres, PrivatePostgres):
            self.blows["PostgreSQL killed"] = self.kill_postgres
            self.blows["backends ended"] = self.end_backends
        if disk is not None:
            self.blows["disk full"] = self.fill_disk

    def strike(self, name: str | None = None) -> str:
        """One blow, of those there are or the one named; its name."""
        chosen = name or self.source.choice(sorted(self.blows))
        self.blows[chosen]()
        self.done[chosen] += 1
        return chosen

    def tend(self) -> None:
        """Do what is due by now, and start again what has ended."""
        now = time.monotonic()
        due = [work for at, work in self._later if at <= now]
        self._later = [(at, work) for at, work in self._later if at > now]
        for work in due:
            work()
        house = self.arena.house
        for name, process in list(house.processes.items()):
            if process.poll() is not None:
                del house.processes[name]
                # Whoever died is another process now, as under any supervisor.
                house.employ(name.split()[0], next(self._numbers))

    def rest(self, seconds: float) -> None:
        """Let time pass, tending meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tend()
            time.sleep(0.05)

    def relent(self) -> None:
        """Undo everything that has not been undone yet."""
        while self._later:
            self._later = [(0.0, work) for _, work in self._later]
            self.tend()
        self.tend()

    # processes

    def _one(self, role: str) -> str | None:
        names = [name for name in self.arena.house.processes if name.startswith(role)]
        return self.source.choice(sorted(names)) if names else None

    def kill(self, role: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End one process of a kind."""
        if (name := self._one(role)) is not None:
            self.arena.house.signal(name, number)

    def arm_worker(self) -> None:
        """One more worker, which dies at a point soon; another takes its place for good."""
        point = f"{self.source.choice(POINTS)}=kill@{self.source.randint(1, 8)}"
        self.kill("worker")
        self.tend()
        number = next(self._numbers)
        name = self.arena.house.employ("worker", number, CODEX32_FAULT_POINTS=point)
        process = self.arena.house.processes[name]
        self._in(self.source.uniform(4, 8), process.kill)

    def freeze(self) -> None:
        """Stop a process for longer than its lease, sometimes."""
        name = self._one(self.source.choice(["worker", "scheduler", "api"]))
        if name is not None:
            process = self.arena.house.processes[name]
            process.send_signal(signal.SIGSTOP)
            self._in(self.source.uniform(0.5, 6), lambda: process.send_signal(signal.SIGCONT))

    # Redis

    def kill_redis(self) -> None:
        """Its keeper starts it again, empty."""
        with suppress(redis_client.RedisError):
            pid = self.arena.redis_pid()
            os.kill(pid, signal.SIGKILL)

    def freeze_redis(self, seconds: float | None = None) -> None:
        """It answers nothing for a while."""
        with suppress(redis_client.RedisError):
            self._for(seconds or self.source.uniform(0.5, 8), self.arena.frozen_redis())

    def empty_redis(self) -> None:
        """All tickets are gone."""
        with self._redis() as client, suppress(redis_client.RedisError):
            client.flushall()

    def fill_redis_with_junk(self) -> None:
        """Doubled and forged tickets, rubbish, and values of the wrong kind."""
        with self._redis() as client, suppress(redis_client.RedisError):
            if self.source.random() < 0.2:
                client.set(LIST, "not a list")
                client.set(MESSAGES, "not a hash")
                return
            ids = list(self.arena.load.acknowledged.values())
            known = [self.source.choice(ids) for _ in range(20)] if ids else []
            client.rpush(LIST, *GARBAGE, *known, *known)
            client.hset(MESSAGES, "exe_nobody", b"\x80 no message")

    def _redis(self) -> redis_client.Redis:
        return redis_client.Redis.from_url(self.arena.redis.url, socket_timeout=1)

    # the database

    def silence_database(self, seconds: float | None = None) -> None:
        """The database answers nothing (SQLite: nobody can write), for longer than a lease."""
        self._for(seconds or self.source.uniform(0.5, 6), self.arena.silent_database())

    def kill_postgres(self) -> None:
        """It is back after a while."""
        server = self.arena.postgres
        assert isinstance(server, PrivatePostgres)
        if server.alive():
            server.kill()
            self._in(self.source.uniform(0.2, 4), self._start_postgres)

    def _start_postgres(self) -> None:
        server = self.arena.postgres
        assert isinstance(server, PrivatePostgres)
        # On a full disk no server starts; it is started when there is room.
        if not server.alive() and not (self.disk and self.disk.full):
            server.start()

    def end_backends(self) -> None:
        """Every connection is ended by the server."""
        with suppress(psycopg2.Error):
            self.arena.rows.ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def fill_disk(self, seconds: float | None = None) -> None:
        """No room for a while."""
        assert self.disk is not None
        self.disk.fill()
        self._in(seconds or self.source.uniform(1, 5), self._make_room)

    def _make_room(self) -> None:
        assert self.disk is not None
        self.disk.empty()
        if isinstance(self.arena.postgres, PrivatePostgres):
            self._start_postgres()

    # time

    def _in(self, seconds: float, work: Callable[[], None]) -> None:
        def quietly() -> None:
            with suppress(ProcessLookupError):
                work()

        self._later.append((time.monotonic() + seconds, quietly))

    def _for(self, seconds: float, state: AbstractContextManager[None]) -> None:
        state.__enter__()
        self._in(seconds, lambda: _leave(state))


def _leave(state: AbstractContextManager[None]) -> None:
    state.__exit__(None, None, None)
