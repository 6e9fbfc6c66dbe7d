"""Steps that publish events, and steps that wait for them, in a whole engine."""

import asyncio

import pytest

from codex32.engine.running.attempt import Attempt
from codex32.kernel import fault_points
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import loads
from codex32.kernel.models import EventRow, ExecutionRow, StepRow, SubscriptionRow
from codex32.services.bots.definitions import Definitions
from codex32.services.events import events
from codex32.services.events.outbox import Outbox
from codex32.services.events.routing import Router


@pytest.fixture
def house(engine, open_door):
    """The engine behind a door with an outbox, and a router."""
    outbox = Outbox(engine.env.components.trigger_types, engine.env.payloads)
    engine.door._outbox = outbox.keep
    return engine


@pytest.fixture
def route(house):
    types = house.env.components.trigger_types
    definitions = Definitions(house.reader.from_document)
    router = Router(types, definitions, house.env.payloads)
    return lambda: router.run(house.door, house.env.clock.micros())


async def told(door: Door, name: str = "custom.paid"):
    rows = await door.read(lambda: list(EventRow.select().where(EventRow.name == name)))
    return [loads(row.data) for row in rows]


async def publish(house, name, data=None):
    now, event_id = house.env.clock.micros(), new_id("evt")
    await events.publish(house.door, events.Publish(name, data, now, event_id))
    return event_id


async def status(house, execution_id):
    return (await house.inspect(execution_id)).execution.status


PUBLISHES = """\
inputs: {n: {type: integer}}
steps:
  - {id: tell, type: event, with: {name: custom.paid, data: {n: "${{ inputs.n }}"}}}
  - {id: after, type: scripted, with: {do: after}}
output: "${{ steps.tell.output }}"
"""


async def test_a_step_publishes_with_its_record(house):
    house.do("after", lambda *_: None)
    done = await house.run(PUBLISHES, n=7)
    (event,) = await house.door.read(lambda: list(EventRow.select()))
    assert loads(event.data) == {"n": 7}
    assert loads(event.chain) == ["test"]
    assert await house.output(done.execution.id) == {"id": event.id}


async def test_a_worker_that_dies_after_the_record_publishes_once(house):
    house.do("after", lambda *_: None)
    execution_id = await house.start(await house.add(PUBLISHES), n=7)

    def stop() -> None:
        raise KeyboardInterrupt

    async def die_at(point: str) -> None:
        (claim,) = await house.claim(lease_seconds=0.0)
        fault_points.arm(point, stop)
        with pytest.raises(KeyboardInterrupt):
            await Attempt(house.env, claim).run()
        fault_points.disarm()
        back = ExecutionRow.update(status="queued", ready_at=0)
        await house.door.write(back.execute)

    await die_at("step.after_try")
    assert await told(house.door) == []
    await die_at("record.after")
    assert await told(house.door) == [{"n": 7}]
    await house.work()

    assert await status(house, execution_id) == "succeeded"
    assert await told(house.door) == [{"n": 7}]


async def test_each_item_publishes_its_own(house):
    await house.run(
        "type: event\nforeach: [1, 2, 3]\nwith: {name: custom.paid, data: '${{ item }}'}\n"
    )
    assert sorted(await told(house.door)) == [1, 2, 3]


async def test_secrets_are_masked_in_what_is_published(house):
    house.secrets["KEY"] = "s3cr3t-value"
    await house.run(
        "allow: {secrets: [KEY]}\ntype: event\n"
        "with: {name: custom.paid, data: 'it is ${{ secrets.KEY }}'}\n"
    )
    (data,) = await told(house.door)
    assert "s3cr3t" not in data


async def test_a_name_that_turns_out_wrong_fails_the_step(house):
    done = await house.run(
        "inputs: {n: {type: string}}\ntype: event\nwith: {name: 'custom.${{ inputs.n }}'}\n",
        n="no name",
    )
    assert done.execution.status == "failed"
    assert "is no name for an event" in done.execution.message
    assert await house.door.read(lambda: EventRow.select().count()) == 0


WAITS = """\
inputs: {order: {type: integer}}
steps:
  - id: paid
    type: wait
    with:
      event: custom.paid
      if: event.data.order == values.order
      values: {order: "${{ inputs.order }}"}
      for: 1h
  - {id: after, type: set, with: {values: {got: "${{ steps.paid.output }}"}}}
output: "${{ steps.after.output.got }}"
"""


async def test_an_execution_waits_for_its_event_without_a_worker(house, route):
    execution_id = await house.start(await house.add(WAITS), order=7)
    await house.work()
    assert await status(house, execution_id) == "waiting"
    assert await house.claim() == []

    await publish(house, "custom.paid", {"order": 6})
    await route()
    assert await status(house, execution_id) == "waiting"
    event_id = await publish(house, "custom.paid", {"order": 7})
    await route()
    await house.work()

    output = await house.output(execution_id)
    assert await status(house, execution_id) == "succeeded"
    assert (output["id"], output["name"], output["data"]) == (
        event_id,
        "custom.paid",
        {"order": 7},
    )


async def test_after_the_time_the_output_is_null(house, route, manual_clock):
    execution_id = await house.start(await house.add(WAITS), order=7)
    await house.work()
    manual_clock.advance(59 * 60)
    await house.work()
    assert await status(house, execution_id) == "waiting"

    manual_clock.advance(2 * 60)
    await house.work()

    assert await status(house, execution_id) == "succeeded"
    assert await house.output(execution_id) is None
    await publish(house, "custom.paid", {"order": 7})
    assert (await route()).woken == 0 or await status(house, execution_id) == "succeeded"


async def test_a_worker_that_dies_before_it_lets_go_misses_no_event(house, route):
    """The step is recorded as waiting, and the worker is gone before it gave the execution up."""
    execution_id = await house.start(await house.add(WAITS), order=7)
    (claim,) = await house.claim()

    def stop() -> None:
        raise KeyboardInterrupt

    fault_points.arm("record.after", stop)
    with pytest.raises(KeyboardInterrupt):
        await Attempt(house.env, claim).run()
    fault_points.disarm()
    await publish(house, "custom.paid", {"order": 7})
    assert (await route()).woken == 1
    back = ExecutionRow.update(status="queued", ready_at=0)
    await house.door.write(back.execute)

    await house.work()

    assert (await house.output(execution_id))["data"] == {"order": 7}


PARALLEL = """\
steps:
  - {id: long, type: scripted, needs: [], with: {do: long}}
  - {id: paid, type: wait, needs: [], with: {event: custom.paid}}
output: "${{ steps.paid.output.data }}"
"""


async def test_an_event_that_comes_while_another_branch_runs_is_not_lost(house, route):
    go = asyncio.Event()

    async def long(*_):
        await asyncio.wait_for(go.wait(), 60)

    house.do("long", long)
    execution_id = await house.start(await house.add(PARALLEL))
    (claim,) = await house.claim()
    running = asyncio.create_task(Attempt(house.env, claim).run())
    while not await house.door.read(lambda: SubscriptionRow.select().count()):
        await asyncio.sleep(0.01)
    await publish(house, "custom.paid", 5)
    await route()
    go.set()
    await running

    assert await status(house, execution_id) == "queued"
    await house.work()
    assert await house.output(execution_id) == 5


async def test_an_answer_of_an_earlier_wait_wakes_no_later_one(house, route):
    text = (
        "steps:\n"
        "  - {id: one, type: wait, with: {event: custom.one}}\n"
        "  - {id: two, type: wait, with: {event: custom.two}}\n"
    )
    execution_id = await house.start(await house.add(text))
    await house.work()
    await publish(house, "custom.one")
    await route()
    await asyncio.wait_for(house.work(), 60)
    assert await status(house, execution_id) == "waiting"
    await publish(house, "custom.two")
    await route()
    await house.work()
    assert await status(house, execution_id) == "succeeded"


async def test_items_wait_each_for_their_own(house, route):
    text = (
        "type: wait\nforeach: [1, 2]\nparallel: 2\n"
        "with: {event: custom.paid, if: event.data == values.n, values: {n: '${{ item }}'}}\n"
    )
    execution_id = await house.start(await house.add(text))
    await house.work()
    assert await house.door.read(lambda: SubscriptionRow.select().count()) == 2
    await publish(house, "custom.paid", 2)
    await route()
    await house.work()
    assert await status(house, execution_id) == "waiting"
    await publish(house, "custom.paid", 1)
    await route()
    await house.work()
    assert [each["data"] for each in await house.output(execution_id)] == [1, 2]


async def test_a_wait_hears_what_the_engine_tells(house, route):
    house.do("fails", lambda *_: 1 / 0)
    watches = (
        "name: watches\ntype: wait\n"
        "with: {event: execution.failed, if: event.data.bot == 'breaks'}\n"
    )
    waiting = await house.start(await house.add(watches))
    await house.work()

    failing = await house.start(
        await house.add("name: breaks\ntype: scripted\nwith: {do: fails}\n")
    )
    house.door._outbox.__self__._until = 0.0  # the second after which it is known who listens
    await house.work()
    await route()
    await house.work()

    assert (await house.output(waiting))["data"]["execution"] == failing
    steps = await house.door.read(lambda: [row.status for row in StepRow.select()])
    assert sorted(steps) == ["failed", "succeeded"]
