"""A house whose every part can be harmed, and what is needed to see that it holds."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import peewee as pw
import redis as redis_client
from codex32_houses import House, living, private_redis, until
from codex32_postgres import PostgresServer

from codex32.kernel.clock import SystemClock
from codex32.kernel.database import Door, connect
from codex32.kernel.errors import InvalidTransition
from codex32.outside.redis_server import BundledRedis
from codex32.services.executions import resolving
from codex32.services.safe import audit
from codex32.services.safe.keyring import KeySource
from codex32.services.safe.vault import Vault
from codex32_violence import bots
from codex32_violence.accounting import Books, Rows, account
from codex32_violence.load import Load
from codex32_violence.proxy import Proxy, proxy
from codex32_violence.world import World, world

#: The lease that workers have by default, where it shall be seen that none is lost: those of the
#: other tests are so short that a busy machine, which gives a process nothing for three seconds,
#: loses one.
CALM = {"CODEX32_WORKER__LEASE_SECONDS": "10"}


class HarmedHouse(House):
    """Processes that are started again under the same name after they were harmed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, environment)
        #: When processes were started, by name.
        self.born: dict[str, float] = {}
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def employ(self, role: str, number: int = 1, **environment: str) -> str:
        """Start an ``api``, ``scheduler`` or ``worker``; its name."""
        commands = {
            "api": ("serve", "--port", str(self.port)),
            "scheduler": ("scheduler",),
            "worker": ("worker", "--processes", "1"),
        }
        name = f"{role} {number}"
        self.launch(name, *commands[role], **environment)
        self.born[name] = time.monotonic()
        return name

    def deaf(self) -> set[str]:
        """Those that may be so young that they do not listen yet when they are told to stop."""
        return {name for name, at in self.born.items() if time.monotonic() - at < 20}

    def revive(self, name: str) -> None:
        """Start a process again that has ended."""
        role, number = name.split()
        self.employ(role, int(number))

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal, if the process is there."""
        with suppress(ProcessLookupError):
            self.processes[name].send_signal(number)

    def answers(self) -> bool:
        """Whether the API is ready."""
        with suppress(OSError):
            return self.get("/readyz").status == 200
        return False

    def _check_alive(self) -> None:
        """A process that has ended is nothing unusual here."""


@dataclass
class Arena:
    """The house, its servers, the world, and the load."""

    kind: str
    house: HarmedHouse
    redis: BundledRedis
    world: World
    rows: Rows
    database_url: str
    postgres: PostgresServer | None
    redis_proxy: Proxy | None = None
    database_proxy: Proxy | None = None
    load: Load = field(init=False)

    def __post_init__(self) -> None:
        self.load = Load(lambda: self.house.url, lambda: self.house.token)

    def open(
        self, *, workers: int = 2, schedulers: int = 1, only: tuple[str, ...] | None = None
    ) -> None:
        """Make the schema and the bots, start everything, and return when it answers."""
        done = self.house.cli("db", "upgrade")
        assert done.returncode == 0, done.stderr
        self.rows.note_endings()
        written = bots.texts(self.world.url)
        names = tuple(each for each in written if each != "tick") if only is None else only
        for name in names:
            self.house.write(name, written[name])
        for number in range(schedulers):
            self.house.employ("scheduler", number + 1)
        for number in range(workers):
            self.house.employ("worker", number + 1)
        self.house.employ("api")
        until(self.house.answers, "an API")
        if names:
            self.await_bots(*names)

    def await_bots(self, *names: str) -> None:
        """Until the house has these bots."""
        wanted = ", ".join(f"'{name}'" for name in names)
        sql = (
            f"SELECT count(*) FROM bot WHERE active_version_id IS NOT NULL AND name IN ({wanted})"
        )
        until(lambda: self.rows.ask(sql)[0][0] == len(names), f"the bots {wanted}")

    def add(self, name: str) -> None:
        """Write one of the bots that is not there yet."""
        self.house.write(name, bots.texts(self.world.url)[name])
        self.await_bots(name)

    # violence

    def freeze_idle(self, name: str) -> None:
        """Stop a process that is in no transaction, so that it holds nothing that others need.

        On SQLite a process that is frozen while it writes holds up every writer, as the
        documentation says; whoever wants to see something else must not meet that by chance.
        """
        until(lambda: self._frozen_without_a_lock(name), f"{name} freezes outside a transaction")

    def _frozen_without_a_lock(self, name: str) -> bool:
        self.house.signal(name, signal.SIGSTOP)
        if self.kind != "sqlite":
            return True
        try:
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=2, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            self.house.signal(name, signal.SIGCONT)
            return False
        return True

    def redis_pid(self) -> int:
        """Of the Redis that runs now."""
        with redis_client.Redis.from_url(self.redis.url) as client:
            return int(client.info("server")["process_id"])

    @contextmanager
    def frozen_redis(self) -> Iterator[None]:
        """Redis keeps its connections and answers nothing."""
        pid = self.redis_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def silent_database(self) -> Iterator[None]:
        """PostgreSQL behind a network that passes nothing; SQLite written by somebody else."""
        if self.database_proxy is not None:
            self.database_proxy.stall()
            try:
                yield
            finally:
                self.database_proxy.flow()
            return
        path = self.database_url.removeprefix("sqlite:///")
        connection = sqlite3.connect(path, timeout=3, isolation_level=None)
        with closing(connection):
            with suppress(
                sqlite3.OperationalError
            ):  # then somebody else holds it up, or it is full
                connection.execute("BEGIN IMMEDIATE")
            yield

    # the end

    def doubts(self) -> list[tuple[str, str, int]]:
        """Effects that wait for a person's decision: execution, step, item."""
        return [
            (row[0], row[1], row[2])
            for row in self.rows.ask(
                "SELECT s.execution_id, s.step, s.item FROM step s JOIN execution e "
                "ON e.id = s.execution_id WHERE s.status = 'unknown' AND e.status = 'waiting'"
            )
        ]

    def decide(self) -> int:
        """Do the person's part: ask the world about each doubt, and tell the house; how many."""
        doubts = self.doubts()
        if not doubts:
            return 0
        reached = self.world.effects()
        # What is decided is audited, with the keys of the house.
        keys = KeySource(None, self.house.folder / ".codex32" / "keys")
        audit.use(lambda: audit.VaultKeys(Vault(keys)))
        door = Door(connect(self.rows.url))
        try:
            for execution_id, step, item in doubts:
                key = f"{execution_id}/{step}" + ("" if item < 0 else f"/{item}")
                decision = "sent" if key in reached else "not-sent"
                door.write_now(
                    lambda e=execution_id, s=step, i=item, d=decision: resolving.resolve(  # type: ignore[misc]
                        e, d, SystemClock.shared.micros(), step=s, item=i
                    )
                )
        finally:
            door.close()
        return len(doubts)

    def settle(self, seconds: float = 60.0) -> int:
        """Until every execution has ended, doubts being decided; how many doubts there were."""
        decided = 0
        deadline = time.monotonic() + seconds
        while self.rows.live():
            # It went on by itself meanwhile, or the database is being harmed.
            with suppress(InvalidTransition, pw.PeeweeException):
                decided += self.decide()
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        return decided

    def stop_ticking(self) -> None:
        """Take the schedule away, so that all can come to an end."""
        path = self.house.bots / "tick.yaml"
        if path.exists():
            path.unlink()
            sql = "SELECT count(*) FROM bot WHERE name = 'tick' AND removed_at IS NULL"
            until(lambda: self.rows.ask(sql)[0][0] == 0, "the schedule is gone")

    def account(self) -> Books:
        """Count everything."""
        acknowledged = list(self.load.acknowledged.values())
        return account(self.rows, acknowledged, self.world.effects(), bots.EFFECTS)

    def close_books(self, seconds: float = 60.0) -> Books:
        """Let everything end, count it, stop the house, and look for what it left behind."""
        self.stop_ticking()
        decided = self.settle(seconds)
        books = self.account()
        books.counts["doubts"] = decided
        deaf = self.house.deaf()
        for name, code in self.house.stop().items():
            if code != 0 and not (name in deaf and code == -signal.SIGTERM):
                books.wrong(f"{name} ended with {code}")
        for pid, command in self.house.alive().items():
            books.wrong(f"process {pid} is left: {command}")
        return books


@contextmanager
def arena(
    folder: Path,
    kind: str,
    postgres: PostgresServer | None,
    *,
    proxied: bool = False,
    data: Path | None = None,
    **environment: str,
) -> Iterator[Arena]:
    """Everything, not started yet; nothing is left of it afterwards.

    Args:
      kind: ``sqlite`` or ``postgresql``.
      postgres: The server, for PostgreSQL.
      proxied: Whether proxies stand before the servers.
      data: Folder of the SQLite file, if not the house's own.
    """
    with ExitStack() as stack:
        redis = stack.enter_context(private_redis())
        outside = stack.enter_context(world())
        redis_proxy = database_proxy = None
        redis_url = redis.url
        if proxied:
            redis_proxy = stack.enter_context(proxy(Path(redis.url.removeprefix("unix://"))))
            redis_url = f"redis://127.0.0.1:{redis_proxy.port}"
        if kind == "sqlite":
            folder.mkdir(parents=True, exist_ok=True)
            own_url = house_url = f"sqlite:///{(data or folder) / 'codex32.db'}"
        else:
            assert postgres is not None
            own_url = house_url = postgres.create()
            name = own_url.partition("postgres@/")[2].partition("?")[0]
            if proxied:
                database_proxy = stack.enter_context(proxy(postgres.socket))  # type: ignore[attr-defined]
                place = f"127.0.0.1:{database_proxy.port}/{name}"
                house_url = f"postgresql://postgres@{place}?sslmode=disable&gssencmode=disable"
        variables = {
            "CODEX32_DATABASE_URL": house_url,
            "CODEX32_REDIS_URL": redis_url,
            "CODEX32_OUTSIDE__PRIVATE_HOSTS": f'["{outside.url.removeprefix("http://")}"]',
            **environment,
        }
        house = HarmedHouse(folder / "house", variables)
        stack.enter_context(living(house))
        stack.callback(_thaw, house)
        yield Arena(
            kind,
            house,
            redis,
            outside,
            Rows(own_url),
            own_url,
            postgres,
            redis_proxy,
            database_proxy,
        )


def _thaw(house: HarmedHouse) -> None:
    for process in house.processes.values():
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)


def after(seconds: float, work) -> threading.Timer:  # type: ignore[no-untyped-def]
    """Do ``work`` later, on a thread of its own."""
    timer = threading.Timer(seconds, work)
    timer.start()
    return timer
