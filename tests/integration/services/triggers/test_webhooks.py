"""Deliveries written by several processes at once, and who serves an address."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from codex32 import WebhookRequest
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.errors import BotInvalid
from codex32.kernel.models import ExecutionRow, OccurrenceRow, TriggerRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bot_views, bots, webhook_paths
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.registry import Registry
from codex32.services.bots.webhook_paths import Hook
from codex32.services.bots.written import FILE, Stored, Written
from codex32.services.triggers import webhook_views
from codex32.services.triggers.webhooks import (
    Delivered,
    DeliveryRefused,
    Receiver,
    read_delivery,
)
from codex32.services.triggers.why import why

SECOND = 1_000_000
OPEN = "auth: {scheme: none}"


@pytest.fixture
def receiver(
    door: Door, components: Components, definitions: Definitions, payloads: PayloadStore
) -> Receiver:
    async def secret(workspace: str, name: str) -> str | None:
        return "sesame"

    return Receiver(door, components.trigger_types, definitions, payloads, secret)


@pytest.fixture
def find(door: Door, components: Components) -> Callable[..., str | None]:
    """The name of the bot that answers."""

    def found(path: str = "p", method: str = "POST") -> str | None:
        types = components.trigger_types
        hook = door.read_now(webhook_paths.find, types, "default", method, path)
        return None if hook is None else hook.due.bot_name

    return found


@pytest.fixture
def file(store: Callable[..., Stored]) -> Callable[..., Stored]:
    """A bot in a file that serves a path."""

    def stored(
        name: str, path: str = "p", *, more: str = OPEN, secrets: str = "[]", **how: Any
    ) -> Stored:
        text = f"name: {name}\nallow: {{secrets: {secrets}}}\n"
        text += f"triggers: [{{webhook: {{path: {path}, {more}}}}}]"
        return store(text, origin=FILE, source=f"{name}.yaml", **how)

    return stored


def hook_of(door: Door, components: Components) -> Hook:
    types = components.trigger_types
    hook = door.read_now(webhook_paths.find, types, "default", "POST", "p")
    assert hook is not None
    return hook


def test_processes_that_get_the_same_delivery_make_one_execution(
    door: Door,
    components: Components,
    receiver: Receiver,
    file: Callable[..., Stored],
    at_once: Callable[..., list[Any]],
    now: int,
) -> None:
    file("ping")
    hook = hook_of(door, components)
    request = WebhookRequest("POST", "p", {}, {}, b"hello")

    def deliver() -> list[Delivered]:
        # Two of each, in another order everywhere, so that their locks cross.
        names = random.sample([f"d{n % 3}" for n in range(6)], 6)
        return receiver.settle_many(
            [receiver.judge(hook, read_delivery(hook, request), each, now) for each in names]
        )

    answers = [each for group in at_once(8, deliver) for each in group]

    executions = door.read_now(lambda: list(ExecutionRow.select()))
    occurrences = door.read_now(lambda: list(OccurrenceRow.select()))
    assert len(executions) == 3
    assert {each.execution_id for each in answers} == {row.id for row in executions}
    assert len(occurrences) == len(answers) == 48
    assert [each.decision for each in answers].count("fired") == 3
    assert {row.execution_id for row in occurrences} == {row.id for row in executions}


@pytest.mark.parametrize("name", ["d1", None])
def test_a_write_that_is_done_again_finds_its_own_traces(
    door: Door,
    components: Components,
    receiver: Receiver,
    file: Callable[..., Stored],
    now: int,
    name: str | None,
) -> None:
    file("ping")
    hook = hook_of(door, components)
    request = WebhookRequest("POST", "p", {}, {}, b"x" * 5000)
    judged = receiver.judge(hook, read_delivery(hook, request), name, now)

    first, again = [door.write_now(lambda: receiver.settle_many([judged])[0]) for _ in range(2)]

    assert first == again
    assert first.decision == "fired"
    (row,) = door.read_now(lambda: list(ExecutionRow.select()))
    assert door.read_now(OccurrenceRow.select().count) == 1
    assert row.trigger.startswith("@")
    assert receiver._payloads.unpack(row.id, row.trigger)["body"]


def test_a_long_body_that_comes_again_leaves_no_files(
    receiver: Receiver, payloads: PayloadStore, file: Callable[..., Stored]
) -> None:
    file("ping", more="auth: {scheme: bearer, secret: S, id_header: X-Id}", secrets="[S]")
    headers = {"authorization": "Bearer sesame", "x-id": "1"}
    request = WebhookRequest("POST", "p", headers, {}, b"x" * 5000)

    async def deliver() -> list[Any]:
        return await asyncio.gather(*(receiver.receive("default", request) for _ in range(5)))

    told = [*asyncio.run(deliver()), *asyncio.run(deliver())]

    assert len({each.execution_id for each in told}) == 1
    assert len(list(payloads.directory.rglob("*.json"))) == 1


def test_what_is_refused_leaves_no_trace(door: Door, receiver: Receiver) -> None:
    request = WebhookRequest("POST", "p", {}, {}, b"hello")
    with pytest.raises(DeliveryRefused):
        asyncio.run(receiver.receive("default", request))
    assert door.read_now(OccurrenceRow.select().count) == 0


def test_an_address_goes_to_the_next_when_the_first_is_gone(
    door: Door, file: Callable[..., Stored], find: Callable[..., str | None], now: int
) -> None:
    for place, name in enumerate(("one", "two", "three")):
        file(name, at=now + place)
    assert find() == "one"
    file("one", more=f"{OPEN}, reply: none", at=now + SECOND)
    assert find() == "one"  # another version of the same trigger keeps its place
    file("one", "elsewhere", at=now + SECOND)
    assert (find(), find("elsewhere")) == ("two", "one")
    door.write_now(lambda: bots.remove("two", now, origin=FILE))
    assert find() == "three"
    file("two", at=now + 2 * SECOND)
    file("one", at=now + 3 * SECOND)
    assert find() == "three"
    file("three", more=f"{OPEN}, methods: [GET]", at=now + 4 * SECOND)
    assert (find(), find(method="GET")) == ("two", "three")


def test_a_trigger_keeps_its_row_while_its_address_stays(
    door: Door, file: Callable[..., Stored], find: Callable[..., str | None], now: int
) -> None:
    def rows() -> list[Any]:
        return door.read_now(lambda: [(row.id, row.definition) for row in TriggerRow.select()])

    file("ping")
    ((before, text),) = rows()
    file("ping", more=f"{OPEN}, reply: result", at=now + 1)
    ((after, other),) = rows()
    assert (before, text != other) == (after, True)


def test_a_bot_that_wants_what_another_has_is_told(
    door: Door, components: Components, file: Callable[..., Stored], now: int
) -> None:
    file("one")
    file("two", at=now + 1)
    types = components.trigger_types

    (one, two) = door.read_now(bot_views.listing)
    assert one.problems == []
    assert [str(each) for each in two.problems] == [
        "triggers: POST /hooks/default/p belongs to the bot one; choose another path"
    ]
    assert two.standing == "active"
    reasons = door.read_now(lambda: why("two", types=types)).reasons
    assert two.problems[0].message in reasons
    views = door.read_now(lambda: webhook_views.listing(types, workspace="default"))
    assert [(v.hook.due.bot_name, v.standing) for v in views] == [
        ("one", "served"),
        ("two", "taken by one"),
    ]


def test_whoever_asks_for_a_taken_address_is_refused(
    door: Door,
    file: Callable[..., Stored],
    store: Callable[..., Stored],
    registry: Registry,
    write: Callable[..., Written],
    now: int,
) -> None:
    file("one")
    text = f"name: two\ntriggers: [{{webhook: {{path: p, {OPEN}}}}}]"
    with pytest.raises(BotInvalid, match=r"triggers\.0\.webhook: POST"):
        store(text)
    store(text.replace("path: p", "path: q"))
    store(text + "\nenabled: false")
    with pytest.raises(BotInvalid, match="belongs to the bot one"):
        store(text)
    other = write(text)
    door.write_now(lambda: registry.store(other, now, workspace="elsewhere"))
