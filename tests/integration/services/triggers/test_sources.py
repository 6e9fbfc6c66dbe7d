import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from codex32.kernel.clock import ManualClock, from_micros
from codex32.kernel.components import Components
from codex32.kernel.contracts.source import Connect
from codex32.kernel.database import Door
from codex32.kernel.json_values import loads
from codex32.kernel.models import ExecutionRow, OccurrenceRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.watching_rows import SourceRow
from codex32.outside.streams import GuardedStreams
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.written import Stored
from codex32.services.triggers import sources
from codex32.services.triggers.sources import SourceWatcher
from codex32.services.triggers.why import why
from codex32_mail.trigger import MailTrigger
from codex32_testing.servers.imap import ImapServer

BOT = """
allow: {{hosts: ["127.0.0.1:{port}"], secrets: [{secret}]}}
triggers:
  - mail: {{host: 127.0.0.1, port: {port}, security: none, user: bots, password: IMAP}}
    inputs: {{}}
    if: "trigger.event.subject != 'noise'"
"""


@pytest.fixture
def components(components: Components) -> Components:
    types = [*components.trigger_types.values(), MailTrigger()]
    return Components.of(bot_types=components.bot_types.values(), trigger_types=types)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(sources, "LONGEST_PAUSE_SECONDS", 0.05)


@pytest.fixture
def scheduler(
    door: Door, components: Components, definitions: Definitions, payloads: PayloadStore, now: int
) -> Any:
    """Watches as a scheduler does, as long as it is entered."""

    @asynccontextmanager
    async def scheduler(secrets: Mapping[str, str]) -> AsyncIterator[SourceWatcher]:
        async def secret(workspace: str, name: str) -> str | None:
            return secrets.get(name)

        def reach(hosts: Any) -> Connect:
            return GuardedStreams(["127.0.0.0/8"]).for_hosts(hosts)

        watcher = SourceWatcher(
            door,
            ManualClock(from_micros(now)),
            components.trigger_types,
            definitions,
            payloads,
            secret=secret,
            reach=reach,
        )
        await watcher.look()
        try:
            yield watcher
        finally:
            await watcher.close()

    return scheduler


def mail(subject: str) -> str:
    return f"Subject: {subject}\nMessage-ID: <{subject}@example.com>\n\ntext\n"


def fired(door: Door) -> list[str]:
    rows = door.read_now(lambda: list(ExecutionRow.select()))
    return sorted(loads(row.trigger)["event"]["subject"] for row in rows)


async def until(door: Door, what: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await door.read(what)):
            await asyncio.sleep(0.02)
    return found


def begun() -> bool:
    return SourceRow.select().exists()


def decisions() -> list[str]:
    return sorted(row.decision for row in OccurrenceRow.select())


async def test_each_mail_is_answered_once_by_any_number_of_schedulers(
    door: Door, store: Callable[..., Stored], scheduler: Any
) -> None:
    async with ImapServer() as imap:
        await imap.deliver(mail("old"))
        secrets = {"IMAP": imap.password}
        await asyncio.to_thread(store, BOT.format(port=imap.port, secret="IMAP"))
        async with scheduler(secrets), scheduler(secrets):
            await until(door, begun)
            for subject in ("a", "b", "noise", "c"):
                await imap.deliver(mail(subject))
            await until(door, lambda: len(decisions()) == 4)
        await imap.deliver(mail("while nobody looked"))
        imap.renumber()
        async with scheduler(secrets):
            await until(door, lambda: len(decisions()) == 5)
        told = await door.read(decisions)
    assert told == ["fired"] * 4 + ["no-match"]
    assert await asyncio.to_thread(fired, door) == ["a", "b", "c", "while nobody looked"]


async def test_a_server_that_was_away_is_read_on_when_it_is_back(
    door: Door, store: Callable[..., Stored], scheduler: Any
) -> None:
    async with ImapServer() as imap:
        await asyncio.to_thread(store, BOT.format(port=imap.port, secret="IMAP"))
        async with scheduler({"IMAP": imap.password}):
            await until(door, begun)
            imap.cut_at.extend(["LOGIN", "UID SEARCH", "UID FETCH", "UID FETCH"])
            await imap.cut_all()
            await imap.deliver(mail("a"))
            await until(door, lambda: decisions() == ["fired"])
        assert imap.cut_at == []
    assert await asyncio.to_thread(fired, door) == ["a"]


async def test_what_the_bot_may_not_is_told_where_why_looks(
    door: Door, store: Callable[..., Stored], scheduler: Any
) -> None:
    async with ImapServer() as imap:
        await asyncio.to_thread(store, BOT.format(port=imap.port, secret="OTHER"))
        async with scheduler({"IMAP": imap.password}):
            await until(door, lambda: decisions() == ["capability"])
        assert imap.commands == []


async def test_what_the_source_refuses_is_told_where_why_looks(
    door: Door, store: Callable[..., Stored], scheduler: Any, components: Components
) -> None:
    def asked() -> Any:
        return why("digest", types=components.trigger_types)

    async with ImapServer() as imap:
        await asyncio.to_thread(
            store, "name: digest\n" + BOT.format(port=imap.port, secret="IMAP")
        )
        assert "has not reached its source yet" in (await door.read(asked)).reasons[0]
        async with scheduler({"IMAP": "wrong"}):
            await until(door, lambda: decisions() == ["invalid"])
        (answer,) = (await door.read(asked)).answers
        assert "does not accept user and password" in answer.occurrence.detail
        async with scheduler({"IMAP": imap.password}):
            await until(door, begun)
        assert "read on last at" in (await door.read(asked)).reasons[0]


async def test_a_bot_that_is_changed_is_watched_as_it_is_now_and_a_removed_one_no_more(
    door: Door, store: Callable[..., Stored], scheduler: Any
) -> None:
    async with ImapServer() as imap:
        text = BOT.format(port=imap.port, secret="IMAP")
        await asyncio.to_thread(store, text)
        async with scheduler({"IMAP": imap.password}) as watcher:
            await until(door, begun)
            await asyncio.to_thread(store, text.replace("'noise'", "'a'"))
            await watcher.look()
            for subject in ("a", "noise"):
                await imap.deliver(mail(subject))
            await until(door, lambda: decisions() == ["fired", "no-match"])
            await asyncio.to_thread(store, "triggers: [{every: 1h}]")
            await watcher.look()
            assert not await door.read(begun)
    assert await asyncio.to_thread(fired, door) == ["noise"]


async def test_how_far_it_had_read_is_forgotten_once_also_while_others_are_watched(
    door: Door, store: Callable[..., Stored], scheduler: Any
) -> None:
    async with ImapServer() as imap:
        stays = BOT.format(port=imap.port, secret="IMAP")
        goes = f"name: goes\n{stays}"
        for text in (f"name: stays\n{stays}", goes):
            await asyncio.to_thread(store, text)
        async with scheduler({"IMAP": imap.password}) as watcher:
            await until(door, lambda: SourceRow.select().count() == 2)
            await asyncio.to_thread(store, "name: goes\ntriggers: [{every: 1h}]")
            await watcher.look()
            assert await door.read(lambda: SourceRow.select().count()) == 1
            commits = door.commits
            await watcher.look()
            assert door.commits == commits
