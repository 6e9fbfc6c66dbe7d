"""A step asks a person: nobody is asked twice, no decision is lost, nothing stays open."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from codex32 import ApprovalDecided, ApprovalRequest, ApprovalRequested, Succeeded, Waiting
from codex32.engine.running.attempt import Attempt
from codex32.kernel import fault_points
from codex32.kernel.errors import ApprovalSettled, FormInvalid
from codex32.kernel.models import ApprovalRow
from codex32.services.executions import approvals, executions
from codex32.services.upkeep import integrity, recovery

ASK = """
inputs: {size: {type: integer, default: 3}}
steps:
  - id: ask
    type: approve
    with: {text: "Grow to ${{ inputs.size }}?", to: ops, expires: 1h}
output: "${{ steps.ask.output }}"
"""
FORM = """
steps:
  - id: ask
    type: approve
    with:
      text: How many?
      form:
        count: {type: integer, minimum: 1}
        region: {type: string, enum: [eu, us], default: eu}
output: "${{ steps.ask.output }}"
"""


class Died(BaseException):
    """A worker's death: nothing after it happens."""


@pytest.fixture
def die_at():
    """Let the worker die at the n-th pass of a fault point."""

    def arm(name, times=1):
        left = [times]

        def action():
            left[0] -= 1
            if left[0] == 0:
                fault_points.disarm()
                raise Died

        fault_points.arm(name, action)

    yield arm
    fault_points.disarm()


@pytest.fixture
def rows(engine):
    async def read(**wanted):
        chosen = ApprovalRow.select().order_by(ApprovalRow.step, ApprovalRow.item)
        for name, value in wanted.items():
            chosen = chosen.where(getattr(ApprovalRow, name) == value)
        return await engine.door.read(lambda: list(chosen))

    return read


@pytest.fixture
def decide(engine, manual_clock):
    async def decide(row, verdict="approved", by="anna", **more):
        decision = approvals.Decision(verdict, by, **more)
        now = manual_clock.micros()
        return await engine.door.write(
            lambda: approvals.decide(row.id, decision, now, engine.env.payloads)
        )

    return decide


@pytest.fixture
def sound(engine, manual_clock):
    """Nothing in the rows contradicts anything else."""

    async def check():
        found = await engine.door.read(integrity.check, manual_clock.micros())
        assert [str(each) for each in found if "bot" not in each.path] == []

    return check


async def test_it_waits_without_a_worker_and_says_how_to_answer(engine, rows, status_of, sound):
    seen = await engine.run(ASK)
    (row,) = await rows()
    assert seen.execution.status == "waiting"
    assert status_of(seen) == {"ask": "waiting"}
    assert f"codex32 approvals approve|reject {row.id}" in seen.execution.message
    assert (row.status, row.step, row.item) == ("pending", "ask", -1)
    assert engine.env.payloads.unpack(row.execution_id, row.request) == {
        "text": "Grow to 3?",
        "to": ["ops"],
        "form": None,
        "on_expire": "reject",
    }
    assert seen.execution.ready_at == row.expires_at
    assert await engine.claim() == []
    await sound()


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
async def test_a_decision_is_the_output_and_the_execution_goes_on(
    engine, decide, rows, sound, manual_clock, verdict
):
    seen = await engine.run(ASK)
    (row,) = await rows()
    manual_clock.advance(60)
    at = manual_clock.now().isoformat()
    await decide(row, verdict, note="as agreed")
    await engine.work()
    assert await engine.output(seen.execution.id) == {
        "approved": verdict == "approved",
        "by": "anna",
        "at": at,
        "form": {},
        "note": "as agreed",
    }
    assert (await rows())[0].status == verdict
    await sound()


async def test_the_first_decision_counts_and_the_second_hears_who_was_quicker(
    engine, decide, rows
):
    await engine.run(ASK)
    (row,) = await rows()
    await decide(row, "rejected", by="anna")
    with pytest.raises(ApprovalSettled, match=r"anna rejected it at 20\d\d-"):
        await decide(row, "approved", by="bert")
    assert (await rows())[0].decided_by == "anna"


async def test_of_two_deciders_at_once_one_wins_and_the_execution_runs_once(engine, decide, rows):
    seen = await engine.run(ASK)
    (row,) = await rows()
    names = [f"person-{number}" for number in range(8)]
    results = await asyncio.gather(
        *(decide(row, by=name) for name in names), return_exceptions=True
    )
    won = [each for each in results if isinstance(each, ApprovalRow)]
    lost = [each for each in results if isinstance(each, ApprovalSettled)]
    assert (len(won), len(lost)) == (1, 7)
    await engine.work()
    assert (await engine.output(seen.execution.id))["by"] == won[0].decided_by
    assert len((await engine.inspect(seen.execution.id)).attempts) == 2


async def test_a_decision_while_no_worker_is_alive_waits_for_the_next_one(engine, decide, rows):
    seen = await engine.run(ASK)
    (row,) = await rows()
    await decide(row)
    queued = await engine.inspect(seen.execution.id)
    assert (queued.execution.status, queued.execution.message) == ("queued", "")
    await engine.work()
    assert (await engine.inspect(seen.execution.id)).execution.status == "succeeded"


@pytest.mark.parametrize("point", ["record.before", "record.after"])
async def test_a_crash_leaves_the_step_and_its_approval_both_or_neither(
    engine, manual_clock, die_at, decide, rows, sound, status_of, point
):
    execution = await engine.start(await engine.add(ASK))
    (claim,) = await engine.claim("first")
    die_at(point)
    with pytest.raises(Died):
        await Attempt(engine.env, claim).run()
    found = await rows()
    steps = status_of(await engine.inspect(execution))
    assert steps == ({} if point == "record.before" else {"ask": "waiting"})
    assert len(found) == len(steps)
    manual_clock.advance(120)
    await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    (row,) = await rows()
    assert not found or row.id == found[0].id, "it was asked twice"
    await sound()
    await decide(row)
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "succeeded"
    await sound()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", ["record.before", "record.after", "step.after_try"])
async def test_a_crash_after_the_decision_loses_nothing_and_asks_nobody_again(
    engine, manual_clock, die_at, decide, rows, point, times
):
    seen = await engine.run(
        ASK.replace("output:", "  - {id: then, type: set, with: {values: {}}}\noutput:")
    )
    await decide((await rows())[0])
    (claim,) = await engine.claim("second")
    die_at(point, times)
    try:
        await Attempt(engine.env, claim).run()
    except Died:
        manual_clock.advance(7200)
        await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    (row,) = await rows()
    assert row.status == "approved"
    assert (await engine.output(seen.execution.id))["by"] == "anna"


@pytest.mark.parametrize(("on_expire", "approved"), [("reject", False), ("approve", True)])
async def test_what_nobody_decides_expires_although_no_worker_was_alive(
    engine, manual_clock, rows, decide, sound, on_expire, approved
):
    seen = await engine.run(ASK.replace("expires: 1h", f"expires: 1h, on_expire: {on_expire}"))
    manual_clock.advance(3 * 3600)
    with pytest.raises(ApprovalSettled, match="it expired at"):
        await decide((await rows())[0])
    pending = await engine.door.read(approvals.listing, approvals.Query(), manual_clock.micros())
    assert pending == []
    await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    output = await engine.output(seen.execution.id)
    assert (output["approved"], output["by"]) == (approved, None)
    (row,) = await rows()
    assert (row.status, row.decided_by) == ("expired", None)
    await sound()


async def test_on_expire_fail_fails_the_step(engine, manual_clock, sound):
    seen = await engine.run(ASK.replace("expires: 1h", "expires: 1h, on_expire: fail"))
    manual_clock.advance(3601)
    await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    row = (await engine.inspect(seen.execution.id)).execution
    assert (row.status, row.message) == ("failed", "nobody decided within 1h")
    await sound()


async def test_a_decision_in_the_last_moment_wins_over_the_expiry(
    engine, manual_clock, decide, rows
):
    seen = await engine.run(ASK)
    manual_clock.advance(3599)
    await decide((await rows())[0])
    manual_clock.advance(10)
    await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    assert (await engine.output(seen.execution.id))["approved"] is True


async def test_waiting_does_not_count_against_the_time_limit(engine, manual_clock, decide, rows):
    seen = await engine.run("timeout: 5m\n" + FORM)
    manual_clock.advance(30 * 86400)
    await decide((await rows())[0], form={"count": 2})
    await engine.work()
    assert (await engine.inspect(seen.execution.id)).execution.status == "succeeded"


async def test_a_form_is_checked_whole_and_its_defaults_are_filled_in(engine, decide, rows):
    seen = await engine.run(FORM)
    (row,) = await rows()
    with pytest.raises(FormInvalid) as caught:
        await decide(row, form={"count": 0, "region": "mars", "regoin": "eu"})
    assert {each.path for each in caught.value.problems} == {"count", "region", "regoin"}
    assert "did you mean" in str(caught.value)
    with pytest.raises(FormInvalid, match="count"):
        await decide(row, form={})
    with pytest.raises(FormInvalid, match="by"):
        await decide(row, by=" \n", form={"count": 1})
    assert (await rows())[0].status == "pending"
    await decide(row, form={"count": 2})
    await engine.work()
    assert (await engine.output(seen.execution.id))["form"] == {"count": 2, "region": "eu"}


async def test_who_rejects_need_not_fill_in_the_form(engine, decide, rows):
    seen = await engine.run(FORM)
    await decide((await rows())[0], "rejected")
    await engine.work()
    assert (await engine.output(seen.execution.id))["form"] == {"region": "eu"}


async def test_what_is_filled_in_may_be_too_long_for_a_row(engine, decide, rows):
    seen = await engine.run(FORM.replace("enum: [eu, us], ", ""))
    await decide((await rows())[0], form={"count": 1, "region": "x" * 5000})
    await engine.work()
    seen = await engine.inspect(seen.execution.id)
    assert seen.execution.status == "succeeded"
    output = await asyncio.to_thread(
        engine.env.payloads.unpack, seen.execution.id, seen.execution.output
    )
    assert output["form"]["region"] == "x" * 5000


EACH = """
inputs: {names: {type: array, default: [a, b, c]}}
steps:
  - id: ask
    type: approve
    foreach: "${{ inputs.names }}"
    with: {text: "Delete ${{ item }}?"}
output: "${{ steps.ask.output.map(each, each.approved) }}"
"""


async def test_each_item_asks_for_itself_and_is_decided_by_itself(
    engine, decide, rows, status_of, sound
):
    seen = await engine.run(EACH)
    asked = await rows()
    assert [row.item for row in asked] == [0, 1, 2]
    assert "3 approvals are open" in seen.execution.message
    await decide(asked[1], "rejected")
    await engine.work()
    seen = await engine.inspect(seen.execution.id)
    assert status_of(seen)["ask[1]"] == "succeeded"
    assert (seen.execution.status, "2 approvals are open" in seen.execution.message) == (
        "waiting",
        True,
    )
    await decide(asked[0])
    await decide(asked[2])
    await engine.work()
    assert len(await rows()) == 3, "an item was asked twice"
    assert await engine.output(seen.execution.id) == [True, False, True]
    await sound()


async def test_a_failed_item_takes_the_questions_of_the_others_back(
    engine, manual_clock, rows, decide, status_of, sound
):
    text = (
        EACH.replace('?"}', '?", expires: "${{ item }}", on_expire: fail}').replace(
            "[a, b, c]", "[1h, 2h, 3h]"
        )
        + "\n"
    )
    text = text.replace("    foreach", "    on_error: continue\n    foreach")
    text = text.replace('output: "${{ steps.ask.output.map(each, each.approved) }}"', "")
    text += "  - {id: also, type: approve, needs: [], with: {text: And this?}}\n"
    seen = await engine.run(text)
    manual_clock.advance(3601)
    await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    assert [row.status for row in await rows(step="ask")] == ["expired", "cancelled", "cancelled"]
    seen = await engine.inspect(seen.execution.id)
    assert status_of(seen)["ask"] == "failed"
    (also,) = await rows(step="also")
    assert also.status == "pending"
    await sound()
    await decide(also)
    await engine.work()
    assert (await engine.inspect(seen.execution.id)).execution.status == "succeeded"
    await sound()


@pytest.mark.parametrize("by", ["cancel", "sibling", "lost"])
async def test_no_question_outlives_its_execution(
    engine, manual_clock, rows, decide, sound, status_of, by
):
    other = "  - {id: other, type: wait, needs: [], with: {for: 10s}}\n"
    other += "  - {id: bad, type: scripted, needs: [other], with: {do: fail}}\n"
    engine.do("fail", lambda c, p: 1 / 0)
    seen = await engine.run(ASK.replace("output:", f"{other}output:"))
    execution = seen.execution.id
    (row,) = await rows()
    now = manual_clock.micros()
    if by == "cancel":
        await engine.door.write(lambda: executions.cancel(execution, now))
        with pytest.raises(ApprovalSettled, match="being cancelled"):
            await decide(row)
    manual_clock.advance(11)
    await recovery.recover(engine.door, manual_clock.micros())
    if by == "lost":
        for _ in range(5):
            assert await engine.claim()
            manual_clock.advance(120)
            await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    seen = await engine.inspect(execution)
    assert seen.execution.status == ("cancelled" if by == "cancel" else "failed")
    (row,) = await rows()
    assert (row.status, row.decided_by) == ("cancelled", None)
    if by != "lost":
        assert status_of(seen)["ask"] == "cancelled"
    with pytest.raises(ApprovalSettled, match="has ended"):
        await decide(row)
    await sound()


async def test_recovery_settles_what_an_ended_execution_left_open(
    engine, manual_clock, rows, sound
):
    seen = await engine.run(ASK)
    now = manual_clock.micros()
    broken = {"status": "failed", "finished_at": now, "ready_at": None}
    await engine.door.write(
        lambda: (
            type(seen.execution)
            .update(broken)
            .where(type(seen.execution).id == seen.execution.id)
            .execute()
        )
    )
    found = await engine.door.read(integrity.check, now)
    assert any("open approval" in each.message for each in found)
    assert (await recovery.recover(engine.door, now)).settled == 1
    assert (await rows())[0].status == "cancelled"
    assert (await recovery.recover(engine.door, now)).settled == 0


async def test_a_decision_while_another_branch_runs_is_not_missed(engine, decide, rows):
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(context, params):
        begun.set()
        await go.wait()
        return 1

    engine.do("slow", slow)
    text = ASK.replace(
        "output:", "  - {id: slow, type: scripted, needs: [], with: {do: slow}}\noutput:"
    )
    execution = await engine.start(await engine.add(text))
    (claim,) = await engine.claim()
    task = asyncio.create_task(Attempt(engine.env, claim).run())
    await begun.wait()
    while not (asked := await rows()):
        await asyncio.sleep(0.01)
    await decide(asked[0])
    go.set()
    await task
    assert (await engine.inspect(execution)).execution.status == "queued"
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "succeeded"
    assert len(await rows()) == 1


async def test_secrets_are_masked_in_what_people_are_asked(engine, rows):
    engine.secrets["TOKEN"] = "hush-hush"
    await engine.run("allow: {secrets: [TOKEN]}\n" + ASK.replace("Grow", "${{ secrets.TOKEN }}"))
    assert "hush-hush" not in await engine.everything_written()
    assert "***" in (await rows())[0].request
    (event,) = [each for each in engine.events if isinstance(each, ApprovalRequested)]
    assert event.text == "*** to 3?"


async def test_plugins_hear_of_the_question_and_of_the_decision(engine, decide, rows):
    seen = await engine.run(ASK)
    (row,) = await rows()
    await decide(row)
    while not any(isinstance(each, ApprovalDecided) for each in engine.events):
        await asyncio.sleep(0.01)  # they are told on a thread of their own
    (asked,) = [each for each in engine.events if isinstance(each, ApprovalRequested)]
    assert (asked.approval_id, asked.execution_id) == (row.id, seen.execution.id)
    assert (asked.step, asked.item, asked.to) == ("ask", None, ("ops",))
    assert asked.expires_at - asked.at == timedelta(hours=1)
    (decided,) = [each for each in engine.events if isinstance(each, ApprovalDecided)]
    assert (decided.approval_id, decided.decision, decided.by) == (row.id, "approved", "anna")


TWICE = """
steps:
  - {id: ask, type: scripted, with: {do: ask}}
output: "${{ steps.ask.output }}"
"""


async def test_a_strangers_bot_type_asks_the_same_way_and_may_ask_again(
    engine, decide, rows, sound
):
    def ask(context, params):
        so_far = [] if context.waited is None else [*context.waited.note, context.waited.answer]
        if len(so_far) == 2:
            return [each["by"] for each in so_far]
        return Waiting(note=so_far, approval=ApprovalRequest(f"Question {len(so_far)}"))

    engine.do("ask", ask)
    seen = await engine.run(TWICE)
    for name in ("anna", "bert"):
        (open_,) = await rows(status="pending")
        await decide(open_, by=name)
        await engine.work()
        await sound()
    assert await engine.output(seen.execution.id) == ["anna", "bert"]
    assert len((await engine.inspect(seen.execution.id)).attempts) == 3


async def test_work_after_the_decision_that_a_crash_cuts_short_asks_nobody_again(
    engine, manual_clock, decide, rows, monkeypatch
):
    monkeypatch.setattr("codex32.engine.running.trying.SHOW_AFTER_SECONDS", 0.0)
    entered = asyncio.Event()
    calls = []

    async def work(context, params):
        if context.waited is None:
            return Waiting(approval=ApprovalRequest("Now?"))
        calls.append(context.step.number)
        if len(calls) == 1:
            entered.set()
            await asyncio.sleep(3600)
        return Succeeded(context.waited.answer["by"])

    engine.do("ask", work)
    seen = await engine.run(TWICE)
    await decide((await rows())[0])
    (claim,) = await engine.claim("first")
    attempt = asyncio.create_task(Attempt(engine.env, claim).run())
    await entered.wait()
    while (await engine.inspect(seen.execution.id)).steps[0].status != "running":
        await asyncio.sleep(0.01)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    manual_clock.advance(120)
    await recovery.recover(engine.door, manual_clock.micros())
    await engine.work()
    assert await engine.output(seen.execution.id) == "anna"
    assert calls == [1, 1]
    assert len(await rows()) == 1


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (ApprovalRequest(""), "text is empty"),
        (ApprovalRequest("x", to="ops"), "to must be a list"),
        (ApprovalRequest("x", form={"n": {"type": "nmber"}}), "form.n.type"),
        (ApprovalRequest("x", form={"n": {"$ref": "file:///etc/passwd"}}), "form.n"),
    ],
)
async def test_a_question_that_nobody_could_answer_fails_the_step(engine, rows, request_, told):
    engine.do("ask", lambda c, p: Waiting(approval=request_))
    seen = await engine.run(TWICE)
    assert seen.execution.status == "failed"
    assert told in seen.execution.message
    assert await rows() == []


async def test_an_execution_that_asks_nobody_pays_nothing_for_it(engine, monkeypatch):
    from codex32.engine.records import record

    def never(items):
        raise AssertionError("it looked for approvals")

    monkeypatch.setattr(record.approvals, "follow", never)
    seen = await engine.run("steps: [{id: one, type: wait, with: {for: 0s}}]")
    await engine.work()
    assert (await engine.inspect(seen.execution.id)).execution.status in ("waiting", "succeeded")
