import asyncio
from collections.abc import Callable

import pytest

from codex32 import BotNotFound, Problem
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import Stored
from codex32.services.triggers.triggers import Ticker
from codex32.services.triggers.why import why

HOUR = 3600 * 1_000_000


@pytest.fixture
def ticker(components: Components, definitions: Definitions, payloads: PayloadStore) -> Ticker:
    return Ticker(components.trigger_types, definitions, payloads)


def test_the_answers_come_newest_first_with_what_became_of_them(
    door: Door, store: Callable[..., Stored], ticker: Ticker, now: int
) -> None:
    store("triggers: [{every: 1h}]")
    for hour in (1, 2, 3):
        asyncio.run(ticker.run(door, now + hour * HOUR))

    told = door.read_now(why, "ping")
    earlier = door.read_now(lambda: why("ping", at=now + 2 * HOUR, limit=1))

    assert [a.occurrence.decision for a in told.answers] == ["overlap", "overlap", "fired"]
    assert [a.status for a in told.answers] == [None, None, "queued"]
    assert [a.occurrence.scheduled_at for a in earlier.answers] == [now + 2 * HOUR]
    assert told.as_dict()["next_at"] == "2026-01-05T16:00:00.000Z"
    assert "executions that have not ended: 1" in told.reasons
    assert any("every 1h is due at 2026-01-05T16:00" in reason for reason in told.reasons)


def test_what_stands_in_the_way_is_said(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int
) -> None:
    file = {"origin": "file", "source": "/bots/ping.yaml"}
    store("enabled: false", **file)
    door.write_now(lambda: bots.pause("ping", now))
    door.write_now(lambda: bots.fail("ping", file["source"], [Problem("bad")], now))

    reasons = "; ".join(door.read_now(why, "ping").reasons)

    for part in ("has faults; version 1 stays", "enabled: false", "paused", "no triggers"):
        assert part in reasons

    door.write_now(lambda: bots.remove("ping", now, origin="file"))
    assert "was removed" in "; ".join(door.read_now(why, "ping").reasons)


def test_triggers_without_times_say_what_they_wait_for(
    door: Door, store: Callable[..., Stored], components: Components
) -> None:
    store(
        "allow: {files: [inbox]}\n"
        "triggers: [{event: custom.order.*}, {file: {path: inbox, glob: '*.csv'}}]"
    )

    told = door.read_now(lambda: why("ping", types=components.trigger_types))

    assert sorted(told.reasons) == [
        "the trigger event waits for an event custom.order.*",
        "the trigger file waits for a file *.csv in inbox to be created or modified",
    ]


def test_an_unknown_bot_is_suggested(door: Door, store: Callable[..., Stored]) -> None:
    store("name: digest")

    with pytest.raises(BotNotFound, match="did you mean 'digest'"):
        door.read_now(why, "digests")
