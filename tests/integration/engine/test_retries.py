"""Retries on a whole engine: what is kept, what is done again, and what is sent once."""

import asyncio

import pytest

from codex32 import Failed
from codex32.engine.records.keeping import Lineage
from codex32.kernel.caller import Caller
from codex32.kernel.errors import EffectsRepeated, InputsInvalid, RetryRefused, StepNotFound
from codex32.kernel.models import BotRow, ExecutionRow, SeenRow, StateRow, StepRow, VersionRow
from codex32.kernel.payloads import PayloadMissing
from codex32.kernel.statuses import Status
from codex32.services.bots.definitions import Definitions
from codex32.services.executions import dead_letters, executions
from codex32.services.executions.resolving import resolve
from codex32.services.executions.retrying import Retrier, Retry

ADA = Caller("user", "ada", "ada")
LINE = """\
name: line
inputs: {n: {type: integer, default: 1}}
steps:
  - {id: first, type: scripted, with: {do: first, value: "${{ inputs.n }}"}}
  - {id: second, type: scripted, with: {do: second, value: "${{ steps.first.output }}"}}
  - {id: third, type: scripted, with: {do: third, value: "${{ steps.second.output }}"}}
output: "${{ steps.third.output }}"
"""


@pytest.fixture
def retrier(engine):
    definitions = Definitions(engine.reader.from_document)
    return Retrier(engine.door, definitions, engine.env.payloads, engine.env.clock)


@pytest.fixture
def line(engine):
    """Steps that add one; ``broken`` names those that fail."""
    broken: set[str] = set()

    def step(context, params):
        if context.step.id in broken:
            return Failed(f"{context.step.id} is broken")
        return params["value"] + 1

    for name in ("first", "second", "third"):
        engine.do(name, step)
    return broken


async def change(engine, text):
    """A second version of the bot of ``text``, live from now on."""
    (bot,) = engine.reader.read_text(text, default_name="test").bots
    from codex32.kernel.json_values import canonical

    def write():
        row = BotRow.get(BotRow.name == bot.name)
        VersionRow.create(
            id=f"ver_2_{bot.name}", bot_id=row.id, number=2, digest="", text=text,
            document=canonical(bot.document), origin="api", created_at=0,
        )  # fmt: skip
        BotRow.update(active_version_id=f"ver_2_{bot.name}").where(BotRow.id == row.id).execute()

    await engine.door.write(write)


def called(engine):
    return [name for name, _ in engine.scripted.calls]


async def letters(engine):
    return [row.id for row in await engine.door.read(dead_letters.listing, dead_letters.Query())]


async def test_a_retry_goes_on_from_the_step_that_failed(engine, retrier, line, status_of):
    line.add("second")
    failed = await engine.run(LINE, n=5)
    line.clear()
    engine.scripted.calls.clear()

    retried = await retrier.retry(Retry(failed.execution.id))
    await engine.work()

    done = await engine.inspect(retried.id)
    assert (done.execution.status, await engine.output(retried.id)) == ("succeeded", 8)
    assert (called(engine), retried.kept) == (["second", "third"], ("first",))
    assert status_of(done) == dict.fromkeys(("first", "second", "third"), "succeeded")
    assert done.execution.retry_of == failed.execution.id
    still = await engine.inspect(failed.execution.id)
    assert (still.execution.status, status_of(still)["second"]) == ("failed", "failed")


@pytest.mark.parametrize(("point", "shared"), [(None, True), ("start", False), ("second", False)])
async def test_what_was_bought_goes_to_a_retry_of_what_failed_alone(
    engine, retrier, line, point, shared
):
    line.add("second")
    failed = (await engine.run(LINE)).execution
    for _ in range(2):  # and to the retry of that
        retried = await retrier.retry(Retry((await last(engine)).id, point))
        await engine.work()
    row = await last(engine)
    answers = Lineage.of(row.id, row.lineage).answers
    assert (row.id, answers) == (retried.id, failed.id if shared else retried.id)


async def last(engine):
    """The newest execution."""
    return await engine.door.read(
        lambda: ExecutionRow.select().order_by(ExecutionRow.id.desc()).get()
    )


async def test_a_retry_from_the_start_keeps_nothing(engine, retrier, line):
    done = await engine.run(LINE)
    engine.scripted.calls.clear()
    retried = await retrier.retry(Retry(done.execution.id))
    await engine.work()
    assert (retried.point, retried.kept) == ("start", ())
    assert called(engine) == ["first", "second", "third"]


async def test_a_retry_from_a_step_does_it_and_what_is_below_again(engine, retrier, line):
    done = await engine.run(LINE, n=2)
    engine.scripted.calls.clear()
    retried = await retrier.retry(Retry(done.execution.id, "second"))
    await engine.work()
    assert called(engine) == ["second", "third"]
    assert await engine.output(retried.id) == 5


async def test_a_step_that_is_not_there_is_named_with_the_right_one(engine, retrier, line):
    done = await engine.run(LINE)
    with pytest.raises(StepNotFound, match="did you mean 'second'") as caught:
        await retrier.retry(Retry(done.execution.id, "secnod"))
    assert "version 1" in caught.value.message


async def test_what_has_not_ended_or_not_failed_is_not_retried(engine, retrier, line):
    waiting = await engine.start(await engine.add(LINE))
    with pytest.raises(RetryRefused, match="is queued"):
        await retrier.retry(Retry(waiting))
    await engine.work()
    with pytest.raises(RetryRefused, match="nothing in it failed"):
        await retrier.retry(Retry(waiting, "failed"))


async def test_the_same_execution_retried_by_many_at_once_makes_one_retry(engine, retrier, line):
    line.add("third")
    failed = (await engine.run(LINE)).execution.id
    answers = await asyncio.gather(*(retrier.retry(Retry(failed)) for _ in range(10)))
    assert len({each.id for each in answers}) == 1
    assert sum(not each.repeated for each in answers) == 1
    assert "is queued" in next(each.notes[0] for each in answers if each.repeated)
    other = await retrier.retry(Retry(failed, again=True))
    assert other.id != answers[0].id
    assert await engine.door.read(executions.retries_of, failed) == sorted(
        [answers[0].id, other.id]
    )


async def test_asking_again_after_an_answer_was_lost_changes_nothing(engine, retrier, line):
    line.add("second")
    failed = (await engine.run(LINE)).execution.id
    wish = Retry(failed, again=True)
    first = await retrier.retry(wish)
    line.clear()
    await engine.work()
    second = await retrier.retry(wish)
    assert (second.id, second.repeated) == (first.id, False)
    assert (await engine.inspect(first.id)).execution.status == "succeeded"
    assert {row.status for row in (await engine.inspect(first.id)).steps} == {"succeeded"}


async def test_finished_items_of_a_list_are_not_done_again(engine, retrier, status_of):
    bad = {2}

    def one(context, params):
        return Failed("bad item") if params["value"] in bad else params["value"] * 10

    engine.do("one", one)
    failed = await engine.run("""\
name: each
steps:
  - {id: list, type: set, with: {values: {all: [1, 2, 3]}}}
  - id: all
    type: scripted
    foreach: "${{ steps.list.output.all }}"
    with: {do: one, value: "${{ item }}"}
output: "${{ steps.all.output }}"
""")
    assert failed.execution.status == "failed"
    done_items = [r.item for r in failed.steps if r.item >= 0 and r.status == "succeeded"]
    bad.clear()
    engine.scripted.calls.clear()
    retried = await retrier.retry(Retry(failed.execution.id))
    await engine.work()
    assert await engine.output(retried.id) == [10, 20, 30]
    assert len(engine.scripted.calls) == 3 - len(done_items)
    assert retried.notes == (f"{len(done_items)} items of all are kept",)


async def test_long_values_are_shared_and_outlive_the_execution_they_came_from(
    engine, retrier, line
):
    engine.do("first", lambda context, params: "x" * 5000)
    line.add("second")
    engine.do("second", lambda context, params: Failed("no") if line else len(params["value"]))
    engine.do("third", lambda context, params: params["value"])
    failed = (await engine.run(LINE)).execution.id
    line.clear()
    retried = await retrier.retry(Retry(failed))
    await asyncio.to_thread(engine.env.payloads.remove, failed)
    await engine.work()
    assert await engine.output(retried.id) == 5000


async def test_a_value_that_is_gone_refuses_the_retry_and_leaves_nothing_behind(
    engine, retrier, line
):
    engine.do("first", lambda context, params: "x" * 5000)
    engine.do("second", lambda context, params: Failed("no"))
    failed = (await engine.run(LINE)).execution.id
    await asyncio.to_thread(engine.env.payloads.remove, failed)
    with pytest.raises(PayloadMissing):
        await retrier.retry(Retry(failed))
    assert await engine.door.read(lambda: ExecutionRow.select().count()) == 1
    assert await letters(engine) == [failed]


async def test_a_worker_that_dies_in_a_retry_changes_nothing(engine, retrier, line):
    line.add("second")
    failed = (await engine.run(LINE)).execution.id
    retried = await retrier.retry(Retry(failed))
    line.clear()
    engine.scripted.calls.clear()
    await engine.claim("doomed")

    def lapse():
        ExecutionRow.update(status="queued", ready_at=0).where(
            ExecutionRow.id == retried.id
        ).execute()

    await engine.door.write(lapse)
    await engine.work()
    assert called(engine) == ["second", "third"]
    assert (await engine.inspect(retried.id)).execution.status == "succeeded"


SENDING = """\
name: sending
steps:
  - {id: send, type: scripted, with: {do: send, effect: once}}
  - {id: after, type: scripted, with: {do: after}}
"""


@pytest.fixture
def sent(engine):
    """The keys under which effects were sent; ``after`` fails while it is told to."""
    keys: list[str] = []
    engine.do("send", lambda context, params: keys.append(context.step.idempotency_key))
    engine.do("after", lambda context, params: Failed("broken"))
    return keys


async def test_what_was_sent_is_not_sent_again(engine, retrier, sent):
    failed = (await engine.run(SENDING)).execution.id
    retried = await retrier.retry(Retry(failed))
    await engine.work()
    assert (len(sent), retried.repeats) == (1, ())


async def test_sending_again_must_be_meant_and_takes_a_new_key(engine, retrier, sent):
    failed = (await engine.run(SENDING)).execution.id
    with pytest.raises(EffectsRepeated) as caught:
        await retrier.retry(Retry(failed, "start"))
    assert [problem.path for problem in caught.value.problems] == ["send"]
    assert await engine.door.read(retrier.look, Retry(failed, "start"))
    assert await letters(engine) == [failed]

    retried = await retrier.retry(Retry(failed, "start", repeat_effects=True))
    await engine.work()
    assert retried.repeats == ("send",)
    assert len(set(sent)) == 2


async def test_an_effect_that_is_still_owed_keeps_its_key_over_retries(engine, retrier):
    keys = []

    def send(context, params):
        keys.append(context.step.idempotency_key)
        return Failed("not now") if len(keys) < 3 else "sent"

    engine.do("send", send)
    last = (await engine.run(SENDING.replace("once", "idempotent"))).execution.id
    for _ in range(2):
        last = (await retrier.retry(Retry(last))).id
        engine.do("after", lambda context, params: None)
        await engine.work()
    assert (await engine.inspect(last)).execution.status == "succeeded"
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_an_effect_that_nobody_can_tell_must_be_decided_first(engine, retrier, sent):
    failed = (await engine.run(SENDING)).execution.id

    def doubt():
        StepRow.update(status="unknown").where(
            (StepRow.execution_id == failed) & (StepRow.step == "send")
        ).execute()

    await engine.door.write(doubt)
    for point in ("failed", "start", "after"):
        with pytest.raises(RetryRefused, match=f"executions resolve {failed}"):
            await retrier.retry(Retry(failed, point, repeat_effects=True))
    await engine.door.write(lambda: resolve(failed, "not-sent", 5))
    assert (await engine.inspect(failed)).execution.status == "failed"
    await retrier.retry(Retry(failed))
    await engine.work()
    assert len(sent) == 2


async def test_deciding_that_it_was_sent_keeps_it(engine, retrier, sent):
    failed = (await engine.run(SENDING)).execution.id

    def doubt():
        StepRow.update(status="running").where(
            (StepRow.execution_id == failed) & (StepRow.step == "send")
        ).execute()

    await engine.door.write(doubt)
    await engine.door.write(lambda: resolve(failed, "sent", 5))
    await retrier.retry(Retry(failed))
    await engine.work()
    assert len(sent) == 1


async def test_what_was_new_to_the_first_is_new_to_its_retries_and_to_nobody_else(engine, retrier):
    text = """\
name: news
inputs: {items: {type: array, default: [a, b]}}
steps:
  - {id: fresh, type: dedupe, with: {items: "${{ inputs.items }}"}}
  - {id: use, type: scripted, with: {do: use, value: "${{ steps.fresh.output }}"}}
output: "${{ steps.fresh.output }}"
"""
    engine.do("use", lambda context, params: Failed("broken"))
    failed = (await engine.run(text)).execution.id
    engine.do("use", lambda context, params: None)
    other = await engine.start("news", items=["b", "c"])
    await engine.work()
    assert await engine.output(other) == ["c"]
    for point in ("start", "failed", "fresh"):
        retried = await retrier.retry(Retry(failed, point, again=True))
        await engine.work()
        assert await engine.output(retried.id) == ["a", "b"]
    chained = await retrier.retry(Retry(retried.id, "start"))
    await engine.work()
    assert await engine.output(chained.id) == ["a", "b"]
    owners = await engine.door.read(lambda: {row.owner for row in SeenRow.select()})
    assert owners == {f"{failed}:-1", f"{other}:-1"}


async def test_state_of_kept_steps_is_not_written_again(engine, retrier):
    text = """\
name: counting
steps:
  - {id: count, type: set, with: {state: {seen: "first"}}}
  - {id: use, type: scripted, with: {do: use}}
"""
    engine.do("use", lambda context, params: Failed("broken"))
    failed = (await engine.run(text)).execution.id

    def newer():
        StateRow.update(value='"newer"').execute()

    await engine.door.write(newer)
    await retrier.retry(Retry(failed))
    await engine.work()
    assert await engine.state() == {"seen": "newer"}


async def test_the_present_definition_mends_what_the_original_broke(engine, retrier, line):
    line.add("second")
    failed = (await engine.run(LINE, n=1)).execution.id
    engine.do("mended", lambda context, params: params["value"] + 1)
    await change(engine, LINE.replace("do: second", "do: mended"))
    line.clear()
    retried = await retrier.retry(Retry(failed, definition="current"))
    await engine.work()
    done = (await engine.inspect(retried.id)).execution
    assert (done.status, done.version_number, retried.kept) == ("succeeded", 2, ("first",))


async def test_records_that_do_not_fit_the_present_definition_are_left_behind(
    engine, retrier, line
):
    line.add("third")
    failed = (await engine.run(LINE, n=1)).execution.id
    await change(engine, LINE.replace("second", "middle"))
    engine.do("middle", lambda context, params: params["value"] + 100)
    line.clear()
    wish = Retry(failed, definition="current")
    told = await engine.door.read(retrier.look, wish)
    assert (told.id, told.kept) == (None, ("first",))
    assert told.notes == ("the record of second is left behind: this version has no such step",)
    retried = await retrier.retry(wish)
    await engine.work()
    assert await engine.output(retried.id) == 103
    with pytest.raises(StepNotFound, match="version 2"):
        await retrier.retry(Retry(failed, "second", "current", again=True))


async def test_inputs_must_fit_the_present_definition(engine, retrier, line):
    line.add("third")
    failed = (await engine.run(LINE, n=1)).execution.id
    await change(engine, LINE.replace("type: integer, default: 1", "type: integer, minimum: 9"))
    with pytest.raises(InputsInvalid):
        await retrier.retry(Retry(failed, definition="current"))
    assert await letters(engine) == [failed]


async def test_a_dead_letter_leaves_with_its_retry_and_comes_back_as_its_failure(
    engine, retrier, line
):
    line.add("second")
    failed = (await engine.run(LINE)).execution.id
    assert await letters(engine) == [failed]
    retried = await retrier.retry(Retry(failed, by=ADA))
    assert await letters(engine) == []
    await engine.work()
    assert await letters(engine) == [retried.id]
    row = (await engine.inspect(failed)).execution
    told = executions.settlement(row)
    assert (told["as"], told["by"], told["note"]) == ("retried", "ada", retried.id)


async def test_children_leave_the_list_with_the_execution_that_is_retried(engine, retrier, line):
    line.add("first")
    await engine.add(LINE)
    parent = (
        await engine.run(
            "name: boss\nallow: {bots: [line]}\nsteps: [{id: ask, type: bot, with: {name: line}}]"
        )
    ).execution
    assert parent.status == Status.FAILED
    assert len(await letters(engine)) == 2
    await retrier.retry(Retry(parent.id))
    assert await letters(engine) == []


async def test_what_children_sent_is_sent_again_only_where_that_is_meant(engine, retrier, sent):
    await engine.add(SENDING)
    text = "name: boss\nallow: {bots: [sending]}\nsteps:\n"
    text += "  - {id: ask, type: bot, with: {name: sending}}\n"
    parent = (await engine.run(text)).execution.id
    assert len(sent) == 1
    with pytest.raises(EffectsRepeated) as caught:
        await retrier.retry(Retry(parent))
    assert [problem.path for problem in caught.value.problems] == ["ask"]
    await retrier.retry(Retry(parent, repeat_effects=True))
    await engine.work()
    assert len(sent) == 2


async def test_an_execution_ended_by_a_step_is_ended_anew_and_not_at_once(engine, retrier):
    verdict = {"go": False}
    engine.do("look", lambda context, params: verdict["go"])
    text = """\
name: ending
steps:
  - {id: look, type: scripted, with: {do: look}}
  - {id: stop, type: end, if: "!steps.look.output", with: {status: failed, message: no}}
"""
    failed = (await engine.run(text)).execution.id
    retried = await retrier.retry(Retry(failed))
    assert retried.kept == ("look",)
    verdict["go"] = True
    other = await retrier.retry(Retry(failed, "look", again=True))
    await engine.work()
    assert (await engine.inspect(retried.id)).execution.status == "failed"
    assert (await engine.inspect(other.id)).execution.status == "succeeded"


async def test_a_full_bot_refuses_and_leaves_nothing_behind(engine, retrier, line, tmp_path):
    line.add("first")
    text = LINE + "concurrency: {limit: 1, when_full: skip}\n"
    failed = (await engine.run(text, n=3)).execution.id
    await engine.start("line")
    with pytest.raises(RetryRefused, match="concurrency"):
        await retrier.retry(Retry(failed))
    assert await letters(engine) == [failed]
