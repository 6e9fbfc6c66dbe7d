"""Rows to begin with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from codex32.builtin.bot_types.python import PythonBotType
from codex32.builtin.bot_types.set import SetBotType
from codex32.builtin.triggers.at import AtTrigger
from codex32.builtin.triggers.cron import CronTrigger
from codex32.builtin.triggers.event import EventTrigger
from codex32.builtin.triggers.every import EveryTrigger
from codex32.builtin.triggers.file import FileTrigger
from codex32.builtin.triggers.webhook import WebhookTrigger
from codex32.engine.reading.definition import Reader
from codex32.kernel import database, notices
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.models import ExecutionRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import Stored, Written

SECOND = 1_000_000


@pytest.fixture
def now() -> int:
    """The present of a test, in microseconds: 2026-01-05 12:00 UTC, a Monday."""
    return 1_767_614_400 * SECOND


@pytest.fixture
def execution(now: int) -> Callable[..., str]:
    """Writes an execution; its id. Call it through the door."""

    def write(**values: Any) -> str:
        row: dict[str, Any] = {
            "id": new_id("exe"),
            "workspace": "default",
            "bot_id": "bot_1",
            "bot_name": "ping",
            "version_id": "ver_1",
            "version_number": 1,
            "status": "queued",
            "inputs": "{}",
            "trigger": "{}",
            "trigger_kind": "manual",
            "created_at": now,
            **values,
        }
        ExecutionRow.insert(row).execute()
        return str(row["id"])

    return write


@pytest.fixture
def at_once(door: Door) -> Callable[..., list[Any]]:
    """Does the same in several threads, each in transactions of its own, as processes would."""

    def run(threads: int, work: Callable[[], Any]) -> list[Any]:
        ready = threading.Barrier(threads)

        def one() -> Any:
            ready.wait()
            try:
                while True:
                    try:
                        with notices.gathered() as left, database.transaction(door.database):
                            done = work()
                            left.finish(None)
                            return done
                    except Exception as error:  # what the door repeats, is repeated here
                        if not database.is_outage(error):
                            raise
            finally:
                door.database.close()

        with ThreadPoolExecutor(threads) as pool:
            return [each.result() for each in [pool.submit(one) for _ in range(threads)]]

    return run


@pytest.fixture
def components() -> Components:
    return Components.of(
        bot_types=[SetBotType(), PythonBotType()],
        trigger_types=[
            CronTrigger(),
            EveryTrigger(),
            AtTrigger(),
            EventTrigger(),
            FileTrigger(),
            WebhookTrigger(),
        ],
    )


@pytest.fixture
def reader(components: Components) -> Reader:
    return Reader(components)


@pytest.fixture
def definitions(reader: Reader) -> Definitions:
    return Definitions(reader.from_document)


@pytest.fixture
def registry(components: Components, definitions: Definitions) -> Registry:
    return Registry(components.trigger_types, definitions)


@pytest.fixture
def payloads(tmp_path: Path) -> PayloadStore:
    return PayloadStore(tmp_path / "payloads", limit_bytes=1024)


@pytest.fixture
def write(reader: Reader) -> Callable[..., Written]:
    """A definition from a file's text; it does nothing where the text names no work.

    With ``works=False`` the text stays as it is.
    """

    def written(
        text: str, *, origin: str = "api", source: str | None = None, works: bool = True
    ) -> Written:
        if works and "with:" not in text:
            text += "\ntype: set\nwith: {values: {}}\n"
        bot = reader.read_text(text, default_name="ping").only_bot()
        return Written.of(bot, text, origin, source)

    return written


@pytest.fixture
def store(
    door: Door, registry: Registry, write: Callable[..., Written], now: int
) -> Callable[..., Stored]:
    """Makes a bot file's text the live version of its bot."""

    def stored(text: str, *, at: int = now, **place: Any) -> Stored:
        written = write(text, **place)
        return door.write_now(lambda: registry.store(written, at))

    return stored
