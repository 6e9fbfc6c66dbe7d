"""From executions that fail to what a person reads: a whole engine carries the notices."""

import asyncio

import pytest

from codex32 import ProviderRejected
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.json_values import loads
from codex32.kernel.models import EventRow, ExecutionRow
from codex32.services.alerts import watching
from codex32.services.alerts.watching import Watch
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import Written
from codex32.services.events.outbox import Outbox

WATCHED = """\
name: test
allow: {secrets: [OPS]}
triggers: [{event: alert.fired, inputs: {}}]
steps: [{id: work, type: scripted, with: {do: work}}]
alerts:
  - name: failing
    failure_rate: 0.5
    at_least: 1
    notify: [{to: sink, target: "${{ secrets.OPS }}"}]
"""


@pytest.fixture
async def house(engine):
    """The engine with the watched bot, and events that are written."""
    outbox = Outbox(engine.env.components.trigger_types, engine.env.payloads)
    engine.door._outbox = outbox.keep
    engine.secrets["OPS"] = "ops@example.com"
    # In a thread: what reads the first bot of a process is loaded then.
    bot = (await asyncio.to_thread(engine.reader.read_text, WATCHED)).only_bot()
    registry = Registry(engine.env.components.trigger_types, engine.starter._definitions)
    written, now = Written.of(bot, WATCHED, "api"), engine.env.clock.micros()
    await engine.door.write(lambda: registry.store(written, now))
    return engine


@pytest.fixture
def look(house):
    return Watch(house.door, house.starter, house.env.clock).look


async def work(house, well):
    house.do("work", lambda *_: {} if well else 1 / 0)
    await house.start("test")
    await house.work()


async def test_people_read_that_it_fires_and_that_it_is_over(house, look):
    await work(house, well=False)
    assert await look() == 1
    await house.work()

    ((told, target),) = house.sink.sent
    assert target == "ops@example.com"
    assert told.title == "test: failing fires"
    assert told.data["alerts"][0]["state"] == "firing"

    await work(house, well=True)
    await work(house, well=True)
    assert await look() == 1
    await house.work()
    assert [each.title for each, _ in house.sink.sent][1:] == ["test: failing is over"]


async def test_the_event_is_told_with_the_bot_in_its_chain_so_that_it_makes_no_circle(house, look):
    await work(house, well=False)
    await look()
    (event,) = await house.door.read(
        lambda: list(EventRow.select().where(EventRow.name == "alert.fired"))
    )
    assert loads(event.chain) == ["test"]
    assert loads(event.data) == {
        "bot": "test",
        "alert": "failing",
        "detail": "1 of 1 executions failed within 1h00m (100%)",
    }


async def test_a_notifier_that_fails_makes_a_dead_letter_and_no_alert(house, look, monkeypatch):
    async def fails(*_, **__):
        raise ProviderRejected("the sink is full")

    await work(house, well=False)
    monkeypatch.setattr(house.sink, "send", fails)
    await look()
    await house.work()

    def read():
        carried = ExecutionRow.get(ExecutionRow.trigger_kind == "alert")
        return carried, AlertRow.get(), watching.look(house.env.clock.micros())

    carried, alert, (news, _) = await house.door.read(read)
    assert (carried.status, carried.cause is not None) == ("failed", True)
    assert loads(alert.notices) == [carried.id]
    assert news == []
