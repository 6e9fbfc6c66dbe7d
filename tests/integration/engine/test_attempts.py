"""What happens when workers die, stop or fall behind in the middle of an execution."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from codex32 import Effect, EffectUnknown, Failed, Succeeded
from codex32.engine.records import claims
from codex32.engine.running.attempt import Attempt
from codex32.kernel import fault_points
from codex32.kernel.errors import InvalidTransition
from codex32.kernel.models import AttemptRow, ExecutionRow
from codex32.kernel.subject import subject
from codex32.services.executions import executions, resolving
from codex32.services.upkeep import recovery

THREE = """
steps:
  - {id: one, type: scripted, with: {do: count, value: 1}}
  - {id: two, type: scripted, with: {do: count, value: 2}}
  - {id: three, type: scripted, with: {do: count, value: 3}}
output: "${{ [steps.one.output, steps.two.output, steps.three.output] }}"
"""


class Died(BaseException):
    """A worker's death: nothing after it happens."""


async def test_what_is_said_in_a_step_is_known_to_be_of_its_execution(engine):
    engine.do("tell", lambda context, params: Succeeded(subject.get()._asdict()))
    done = await engine.run("name: teller\nsteps: [{id: a, type: scripted, with: {do: tell}}]")
    [step] = done.steps
    told = engine.env.payloads.unpack(done.execution.id, step.output)
    assert (told["workspace"], told["bot"]) == ("default", "teller")
    assert told["execution"] == done.execution.id


@pytest.fixture
def die_at():
    """Let the worker die at the n-th pass of a fault point."""

    def arm(name: str, times: int = 1) -> None:
        left = [times]

        def action() -> None:
            left[0] -= 1
            if left[0] == 0:
                fault_points.disarm()
                raise Died

        fault_points.arm(name, action)

    yield arm
    fault_points.disarm()


async def lose_the_worker(engine, manual_clock) -> None:
    """Let the lease end and recovery notice."""
    manual_clock.advance(120)
    await recovery.recover(engine.door, manual_clock.micros())


@pytest.mark.parametrize("point", ["record.before", "record.after", "step.after_try"])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_another_worker_goes_on_after_the_last_recorded_step(
    engine, manual_clock, die_at, point, times
):
    done = []
    engine.do("count", lambda c, p: done.append(p["value"]) or p["value"])
    execution = await engine.start(await engine.add(THREE))
    (claim,) = await engine.claim("first")
    die_at(point, times)
    with pytest.raises(Died):
        await Attempt(engine.env, claim).run()
    recorded = [s.step for s in (await engine.inspect(execution)).steps if s.finished_at]
    await lose_the_worker(engine, manual_clock)
    await engine.work()
    seen = await engine.inspect(execution)
    if seen.execution.attempt == 1:  # it had died after its last word
        assert point == "record.after"
    else:
        assert [a.outcome for a in seen.attempts] == ["lost", "succeeded"]
    assert seen.execution.status == "succeeded"
    assert await engine.output(execution) == [1, 2, 3]
    for step in recorded:
        value = ["one", "two", "three"].index(step) + 1
        assert done.count(value) == 1, "a recorded step was done again"


async def test_five_deaths_in_the_same_step_end_the_execution_as_lost(
    engine, manual_clock, die_at
):
    engine.do("count", lambda c, p: p["value"])
    execution = await engine.start(await engine.add(THREE))
    for death in range(5):
        (claim,) = await engine.claim(f"worker-{death}")
        die_at("step.after_try")
        with pytest.raises(Died):
            await Attempt(engine.env, claim).run()
        await lose_the_worker(engine, manual_clock)
    seen = await engine.inspect(execution)
    assert (seen.execution.status, seen.execution.cause) == ("failed", "lost")
    assert [a.outcome for a in seen.attempts] == ["lost"] * 5


async def test_a_workers_death_is_no_retry(engine, manual_clock, die_at):
    numbers = []

    def flaky(context, params):
        numbers.append(context.step.number)
        return Failed("not now", retryable=True)

    engine.do("flaky", flaky)
    execution = await engine.start(
        await engine.add("""
retry: {attempts: 2, first: 1s}
steps: [{id: a, type: scripted, with: {do: flaky, effect: idempotent}}]
""")
    )
    (claim,) = await engine.claim("first")
    attempt = Attempt(engine.env, claim)
    engine.do("flaky", lambda c, p: numbers.append(c.step.number) or asyncio.Event().wait())
    task = asyncio.create_task(attempt.run())
    while not any(s.status == "running" for s in (await engine.inspect(execution)).steps):
        await asyncio.sleep(0.02)
    attempt.abandon()
    await asyncio.wait([task])
    engine.do("flaky", flaky)
    for _ in range(3):
        await lose_the_worker(engine, manual_clock)
        await engine.work()
    assert numbers == [1, 1, 2]
    assert (await engine.inspect(execution)).execution.status == "failed"


async def test_a_worker_that_lost_its_lease_changes_nothing_any_more(engine, manual_clock):
    gate = asyncio.Event()

    async def slow(context, params):
        await gate.wait()
        return Succeeded("late")

    engine.do("count", slow)
    execution = await engine.start(await engine.add("{type: scripted, with: {do: count}}"))
    (claim,) = await engine.claim("first")
    late = asyncio.create_task(Attempt(engine.env, claim).run())
    await asyncio.sleep(0)
    await lose_the_worker(engine, manual_clock)
    engine.do("count", lambda c, p: "prompt")
    await engine.work()
    gate.set()
    await late
    assert await engine.output(execution) == "prompt"
    seen = await engine.inspect(execution)
    assert (seen.execution.status, seen.execution.attempt) == ("succeeded", 2)


async def test_an_effect_cut_by_a_death_is_unknown_and_not_repeated(engine, manual_clock, die_at):
    sent = []
    engine.do("send", lambda c, p: sent.append(1) or "id-1")
    bot = await engine.add("""
steps: [{id: send, type: scripted, with: {do: send, effect: once}}]
""")
    execution = await engine.start(bot)
    (claim,) = await engine.claim("first")
    die_at("step.after_try")
    with pytest.raises(Died):
        await Attempt(engine.env, claim).run()
    await lose_the_worker(engine, manual_clock)
    await engine.work()
    seen = await engine.inspect(execution)
    assert seen.execution.status == "waiting"
    assert "resolve" in seen.execution.message
    assert seen.steps[0].status == "unknown"
    assert sent == [1]
    await engine.work()
    assert sent == [1]


@pytest.mark.parametrize(
    ("decision", "status", "calls"),
    [("sent", "succeeded", 1), ("not-sent", "succeeded", 2), ("fail", "failed", 1)],
)
async def test_a_person_decides_about_an_unknown_effect(
    engine, manual_clock, decision, status, calls
):
    sent = []

    def send(context, params):
        sent.append(1)
        return Failed("cut", unknown=True) if len(sent) == 1 else Succeeded("id-2")

    engine.do("send", send)
    seen = await engine.run("""
steps:
  - {id: send, type: scripted, with: {do: send, effect: once}}
  - {id: after, type: set, with: {values: {}}}
""")
    execution, now = seen.execution.id, manual_clock.micros()
    await engine.door.write(lambda: resolving.resolve(execution, decision, now))
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == status
    assert len(sent) == calls
    with pytest.raises(InvalidTransition):
        await engine.door.write(lambda: resolving.resolve(execution, decision, now))


async def test_a_person_tells_what_an_effect_was_answered_with(engine, manual_clock):
    engine.do("send", lambda context, params: Failed("cut", unknown=True))
    seen = await engine.run("""
steps:
  - {id: send, type: scripted, with: {do: send, effect: once}}
  - {id: after, type: set, with: {values: {charge: "${{ steps.send.output.id }}"}}}
output: "${{ steps.after.output.charge }}"
""")
    execution, now = seen.execution.id, manual_clock.micros()
    answer = {"id": "ch_" + "1" * 200_000}  # more than a row holds
    payloads = engine.env.payloads
    await engine.door.write(
        lambda: resolving.resolve(execution, "sent", now, output=answer, payloads=payloads)
    )
    await engine.work()
    ended = (await engine.inspect(execution)).execution
    assert ended.status == "succeeded"
    assert await asyncio.to_thread(payloads.unpack, execution, ended.output) == answer["id"]


async def test_a_person_decides_about_each_item_by_itself(engine, manual_clock):
    sent = []

    def send(context, params):
        sent.append(params["value"])
        return Failed("cut", unknown=True) if sent.count(params["value"]) == 1 else Succeeded("id")

    engine.do("send", send)
    seen = await engine.run("""
steps:
  - id: send
    type: scripted
    foreach: "${{ [0, 1] }}"
    parallel: 2
    with: {do: send, effect: once, value: "${{ item }}"}
""")
    execution, now = seen.execution.id, manual_clock.micros()
    for item, decision in enumerate(["sent", "not-sent"]):
        work = partial(resolving.resolve, execution, decision, now, step="send", item=item)
        assert [row.item for row in await engine.door.write(work)] == [item]
        await engine.work()
    assert (await engine.inspect(execution)).execution.status == "succeeded"
    assert sent == [0, 1, 1]
    with pytest.raises(InvalidTransition, match="step send, item 1 of it is unknown"):
        await engine.door.write(work)


@pytest.mark.parametrize("options", ["repeat: safe", "idempotency_key: k"])
async def test_an_effect_that_may_be_repeated_is(engine, manual_clock, die_at, options):
    sent = []
    engine.do("send", lambda c, p: sent.append(c.step.idempotency_key))
    bot = await engine.add(
        f"steps: [{{id: send, type: scripted, {options}, with: {{do: send, effect: once}}}}]"
    )
    execution = await engine.start(bot)
    (claim,) = await engine.claim("first")
    die_at("step.after_try")
    with pytest.raises(Died):
        await Attempt(engine.env, claim).run()
    await lose_the_worker(engine, manual_clock)
    await engine.work()
    seen = await engine.inspect(execution)
    assert seen.execution.status == "succeeded"
    assert len(sent) == 2
    assert len(set(sent)) == 1


@pytest.mark.parametrize(
    "fault", [EffectUnknown("cut"), Failed("cut", unknown=True, retryable=True)]
)
async def test_a_cut_connection_of_an_effect_is_unknown_and_never_retried(engine, fault):
    def send(context, params):
        if isinstance(fault, Exception):
            raise fault
        return fault

    engine.do("send", send)
    seen = await engine.run("""
retry: {attempts: 5, first: 1s}
steps: [{id: send, type: scripted, with: {do: send, effect: once}}]
""")
    assert seen.execution.status == "waiting"
    assert seen.execution.ready_at is None
    assert (seen.steps[0].status, seen.steps[0].tries) == ("unknown", 1)


async def test_a_timeout_of_an_effect_is_unknown(engine):
    engine.do("send", lambda c, p: asyncio.Event().wait())
    seen = await engine.run("""
steps: [{id: send, type: scripted, timeout: 20ms, with: {do: send, effect: once}}]
""")
    assert (seen.execution.status, seen.steps[0].status) == ("waiting", "unknown")


async def test_only_unfinished_items_run_again(engine, manual_clock, die_at):
    done = []
    engine.do("count", lambda c, p: done.append(p["value"]) or p["value"])
    bot = await engine.add("""
steps:
  - id: each
    type: scripted
    foreach: "${{ [1, 2, 3, 4] }}"
    with: {do: count, value: "${{ item }}"}
output: "${{ steps.each.output }}"
""")
    execution = await engine.start(bot)
    (claim,) = await engine.claim("first")
    die_at("step.after_try", 3)
    with pytest.raises(Died):
        await Attempt(engine.env, claim).run()
    await lose_the_worker(engine, manual_clock)
    await engine.work()
    assert await engine.output(execution) == [1, 2, 3, 4]
    assert done == [1, 2, 3, 3, 4]


async def test_a_running_execution_is_cancelled_and_its_finally_runs(
    engine, manual_clock, status_of
):
    begun = asyncio.Event()

    async def endless(context, params):
        begun.set()
        await asyncio.Event().wait()

    engine.do("endless", endless)
    bot = await engine.add("""
steps: [{id: a, type: scripted, with: {do: endless}}, {id: b, type: set, with: {values: {}}}]
on_failure: [{id: no, type: set, with: {values: {}}}]
finally: [{id: tidy, type: set, with: {values: {}}}]
""")
    execution = await engine.start(bot)
    host = await engine.host("worker")
    (claim,) = await engine.door.write(lambda: host.take(10))
    task = host.begin(claim)
    await begun.wait()
    now = manual_clock.micros()
    await engine.door.write(lambda: executions.cancel(execution, now))
    held = [execution, "exe_of_another"]
    renewed = await engine.door.write(lambda: claims.renew("worker", held, now, 10_000_000))
    assert (renewed.cancelled, renewed.lost) == ([execution], ["exe_of_another"])
    host.cancel(renewed.cancelled)
    await task
    seen = await engine.inspect(execution)
    assert (seen.execution.status, seen.execution.cause) == ("cancelled", None)
    assert status_of(seen) == {"a": "cancelled", "tidy": "succeeded"}


async def test_an_effect_under_way_at_a_cancellation_stays_in_doubt(engine, status_of):
    begun = asyncio.Event()

    async def send(context, params):
        begun.set()
        await asyncio.Event().wait()

    engine.do("send", send)
    bot = await engine.add("""
steps:
  - id: send
    type: scripted
    foreach: "${{ [1, 2] }}"
    with: {do: send, effect: once, value: "${{ item }}"}
""")
    execution = await engine.start(bot)
    (claim,) = await engine.claim()
    attempt = Attempt(engine.env, claim)
    task = asyncio.create_task(attempt.run())
    await begun.wait()
    attempt.cancel()
    await task
    seen = await engine.inspect(execution)
    assert seen.execution.status == "cancelled"
    assert status_of(seen) == {"send": "cancelled", "send[0]": "unknown"}
    assert [s.input for s in seen.steps if s.item == 0] == [
        '{"do":"send","effect":"once","value":1}'
    ]


async def test_queued_and_waiting_executions_are_cancelled_too(engine, manual_clock):
    bot = await engine.add("{type: wait, with: {for: 1h}}")
    queued = await engine.start(bot)
    now = manual_clock.micros()
    row = await engine.door.write(lambda: executions.cancel(queued, now))
    assert row.status == "cancelled"
    waiting = await engine.start(bot)
    await engine.work()
    await engine.door.write(lambda: executions.cancel(waiting, now))
    await engine.work()
    assert (await engine.inspect(waiting)).execution.status == "cancelled"


@pytest.mark.parametrize("leaves", ["to wait", "drained"])
async def test_why_it_is_cancelled_outlives_a_leave_that_did_not_hear_of_it(
    engine, manual_clock, leaves
):
    now = manual_clock.micros()

    async def late(context, params):
        if leaves == "drained":
            attempt.drain()
        await engine.door.write(lambda: executions.cancel(execution, now, message="too old"))

    engine.do("late", late)
    bot = await engine.add(
        "steps:\n"
        "  - {id: late, type: scripted, with: {do: late}}\n"
        "  - {id: ask, type: approve, with: {text: May I?}}\n"
    )
    execution = await engine.start(bot)
    (claim,) = await engine.claim()
    attempt = Attempt(engine.env, claim)
    await attempt.run()
    left = (await engine.inspect(execution)).execution
    assert (left.status, left.message) == ("queued", "too old")
    await engine.work()
    ended = (await engine.inspect(execution)).execution
    assert (ended.status, ended.message) == ("cancelled", "too old")


async def test_a_stopping_worker_gives_back_what_it_cannot_finish(engine):
    gate = asyncio.Event()

    async def slow(context, params):
        if params["value"] == 2:
            gate.set()
            await asyncio.Event().wait()
        return params["value"]

    engine.do("count", slow)
    execution = await engine.start(await engine.add(THREE))
    host = await engine.host("first")
    (claim,) = await engine.door.write(lambda: host.take(10))
    host.begin(claim)
    await gate.wait()
    await host.drain(0.01)
    seen = await engine.inspect(execution)
    assert seen.execution.status == "queued"
    assert [a.outcome for a in seen.attempts] == ["released"]
    engine.do("count", lambda c, p: p["value"])
    await engine.work()
    assert await engine.output(execution) == [1, 2, 3]


async def test_a_stopping_worker_lets_the_step_under_way_end(engine):
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(context, params):
        if params["value"] == 1:
            inside.set()
            await go_on.wait()
        return params["value"]

    engine.do("count", slow)
    execution = await engine.start(await engine.add(THREE))
    host = await engine.host("first")
    (claim,) = await engine.door.write(lambda: host.take(10))
    host.begin(claim)
    await inside.wait()
    drained = asyncio.create_task(host.drain(10))
    await asyncio.sleep(0)
    go_on.set()
    await drained
    seen = await engine.inspect(execution)
    assert [s.step for s in seen.steps if s.status == "succeeded"] == ["one"]
    assert seen.execution.status == "queued"


async def test_a_claim_is_made_once_however_many_ask(engine):
    bot = await engine.add("{type: set, with: {values: {}}}")
    for _ in range(50):
        await engine.start(bot)
    claimed = await asyncio.gather(*(engine.claim(f"w{n}") for n in range(8)))
    ids = [claim.id for claims in claimed for claim in claims]
    assert len(ids) == len(set(ids)) == 50


async def test_urgent_executions_are_claimed_first(engine):
    low = await engine.start(await engine.add("{name: low, type: set, with: {values: {}}}"))
    high = await engine.start(
        await engine.add("{name: high, priority: 5, type: set, with: {values: {}}}")
    )
    assert [claim.id for claim in await engine.claim()] == [high, low]


async def test_a_full_gate_holds_executions_back_without_a_worker(engine):
    bot = await engine.add("""
concurrency: {limit: 1, when_full: queue, max_queued: 1}
type: wait
with: {for: 1h}
""")
    first, second = await engine.start(bot), await engine.start(bot)
    assert [claim.id for claim in await engine.claim()] == [first]
    assert await engine.claim() == []
    from codex32.services.executions.starting import Start

    assert (await engine.starter.start(Start(bot=bot))).id is None
    assert (await engine.inspect(second)).execution.status == "queued"


async def test_the_end_of_one_lets_the_next_through_the_gate(engine):
    order = []
    engine.do("note", lambda c, p: order.append(c.execution.id))
    bot = await engine.add("""
concurrency: {limit: 1, when_full: queue}
type: scripted
with: {do: note}
""")
    ids = [await engine.start(bot) for _ in range(4)]
    await engine.work()
    assert order == ids


async def test_an_effect_is_noted_before_anything_is_sent(engine):
    rows = []

    async def send(context, params):
        seen = await engine.inspect(context.execution.id)
        rows.extend((s.status, s.effect) for s in seen.steps)

    engine.do("send", send)
    await engine.run("{type: scripted, with: {do: send, effect: once}}")
    assert rows == [("running", Effect.ONCE)]


async def test_the_record_of_attempts_is_whole(engine, manual_clock):
    execution = await engine.start(await engine.add("{type: set, with: {values: {}}}"))
    await engine.claim("dead")
    await lose_the_worker(engine, manual_clock)
    await engine.work()

    def read():
        row = ExecutionRow.get(ExecutionRow.id == execution)
        return row.attempt, [(a.number, a.worker, a.outcome) for a in AttemptRow.select()]

    assert await engine.door.read(read) == (2, [(1, "dead", "lost"), (2, "worker", "succeeded")])


async def undo_the_claim(engine, claim) -> None:
    """What a crash of the database's machine may do, as nothing durable has followed."""
    row = {"status": "queued", "ready_at": 0, "attempt": claim.attempt - 1}
    free = {"worker": None, "lease_at": None, "attempt_at": None}
    await engine.door.write(ExecutionRow.update(**row, **free).execute)


async def test_a_claim_that_was_undone_and_made_again_by_the_same_worker_is_another(
    engine, manual_clock
):
    execution_id = await engine.start(await engine.add(f"name: counts{THREE}"))
    engine.do("count", lambda context, params: Succeeded(params["value"]))
    (first,) = await engine.claim()
    await undo_the_claim(engine, first)
    manual_clock.advance(0.001)
    (second,) = await engine.claim()
    assert (first.worker, first.attempt) == (second.worker, second.attempt)
    await Attempt(engine.env, first).run()  # it notices at its first record, and writes nothing
    assert (await engine.inspect(execution_id)).steps == []
    await Attempt(engine.env, second).run()
    done = await engine.inspect(execution_id)
    assert done.execution.status == "succeeded"
    tries = {step.step: step.tries for step in done.steps}
    assert tries == {"one": 1, "two": 1, "three": 1}


async def test_of_two_attempts_at_one_execution_a_host_keeps_the_later(engine, manual_clock):
    execution_id = await engine.start(
        await engine.add("name: b\ntype: scripted\nwith: {do: wait}")
    )
    begun, go_on = [], asyncio.Event()

    async def wait(context, params):
        begun.append(params)
        await go_on.wait()
        return Succeeded(None)

    engine.do("wait", wait)
    host = await engine.host()
    tasks = []
    for _ in range(2):
        (claim,) = await engine.door.write(lambda: host.take(1))
        tasks.append(host.begin(claim))
        while len(begun) < len(tasks):
            await asyncio.sleep(0.001)
        if len(tasks) == 1:
            await undo_the_claim(engine, claim)
            manual_clock.advance(0.001)
    await asyncio.wait(tasks[:1])
    assert (host.running, host.held) == (1, 1), "the end of the former is not the later one's"
    go_on.set()
    await asyncio.wait(tasks)
    assert (host.running, host.held) == (0, 0)
    done = await engine.inspect(execution_id)
    assert done.execution.status == "succeeded"
    assert [row.outcome for row in done.attempts] == ["succeeded"]


async def test_a_clock_that_jumps_while_an_execution_runs_takes_none_of_its_time(
    engine, manual_clock, monkeypatch
):
    monkeypatch.setattr(type(manual_clock), "steady", lambda self: 0)  # what measures stands still
    engine.do("jump", lambda context, params: manual_clock.advance(7200))
    execution_id = await engine.start(
        await engine.add(
            "timeout: 1h\nsteps:\n  - {id: jump, type: scripted, with: {do: jump}}\n"
            "  - {id: pause, type: wait, with: {for: 1m}}\n"
        )
    )
    await engine.work()
    assert (await engine.inspect(execution_id)).execution.status == "waiting"
    manual_clock.advance(61)
    await engine.work()
    ended = (await engine.inspect(execution_id)).execution
    assert (ended.status, ended.message) == ("succeeded", "")
