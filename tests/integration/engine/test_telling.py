"""Telling people: what many have to say at once, with links to answer, and not too fast."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from codex32 import Rate
from codex32.engine.records import claims, gathered, links
from codex32.engine.records.links import follow
from codex32.kernel.waiting_rows import ApprovalLinkRow, GatheredRow
from codex32.services.executions import executions

DIGEST = """
name: %s
inputs: {news: {type: array}, key: {type: string, default: ops}}
steps:
  - id: all
    type: gather
    with: {items: "${{ inputs.news }}", key: "${{ inputs.key }}", window: 10m}
  - {id: none, type: end, if: "size(steps.all.output) == 0", with: {status: skipped}}
  - id: tell
    type: notify
    with: {to: sink, target: ops, text: '${{ steps.all.output.join(", ") }}'}
"""
ASKS = """
steps:
  - {id: tell, type: notify, with: {to: sink, text: Pay?, html: "<p>Pay?</p>", approval: ask}}
  - {id: ask, type: approve, with: {text: Pay?}}
"""


@pytest.fixture
def later(engine, manual_clock):
    """Let time pass, and do what there is to do then."""

    async def later(**time):
        manual_clock.advance(timedelta(**time).total_seconds())
        await engine.door.write(lambda: claims.wake(manual_clock.micros()))
        await engine.work()

    return later


async def begun(engine, bot, *news, **inputs):
    execution = await engine.start(bot, news=list(news), **inputs)
    await engine.work()
    return execution


async def test_what_many_have_to_say_within_a_window_is_said_once(engine, later):
    first, other = [await engine.add(DIGEST % name) for name in ("first", "other")]
    told = [await begun(engine, first, "a"), await begun(engine, other, "b", "c")]
    await later(minutes=6)
    told.append(await begun(engine, first, "d"))
    elsewhere = await begun(engine, first, "e", key="dev")
    assert engine.sink.sent == []

    await later(minutes=4)

    ((note, target),) = engine.sink.sent
    assert (note.text, target) == ("a, b, c, d", "ops")
    ended = [(await engine.inspect(each)).execution.status for each in told]
    assert sorted(ended) == ["skipped", "skipped", "succeeded"]
    await later(minutes=6)
    assert [note.text for note, _ in engine.sink.sent] == ["a, b, c, d", "e"]
    assert (await engine.inspect(elsewhere)).execution.status == "succeeded"


async def test_what_an_execution_brought_that_is_cancelled_is_withdrawn(
    engine, later, manual_clock
):
    bot = await engine.add(DIGEST % "first")
    kept, cancelled = await begun(engine, bot, "a"), await begun(engine, bot, "b")
    await engine.door.write(lambda: executions.cancel(cancelled, manual_clock.micros()))
    await later(minutes=10)
    assert [note.text for note, _ in engine.sink.sent] == ["a"]
    assert (await engine.inspect(kept)).execution.status == "succeeded"


async def test_a_window_begins_anew_once_it_was_handed_out(engine, later):
    bot = await engine.add(DIGEST % "first")
    await begun(engine, bot, "a")
    await later(minutes=10)
    await begun(engine, bot, "b")
    await later(minutes=9)
    assert len(engine.sink.sent) == 1
    await later(minutes=1)
    assert [note.text for note, _ in engine.sink.sent] == ["a", "b"]


async def test_who_was_handed_it_and_is_asked_again_is_handed_it_again(
    engine, later, manual_clock
):
    bot = await engine.add(DIGEST % "first")
    await begun(engine, bot, "a")
    await begun(engine, bot, "b")
    manual_clock.advance(600)
    await engine.door.write(lambda: claims.wake(manual_clock.micros()))
    (claim, *rest) = await engine.claim(lease_seconds=1)
    # It is handed all, and its worker dies before that is recorded.
    row = await engine.door.read(lambda: GatheredRow.get(GatheredRow.owner == claim.id))
    share = gathered.Share(
        claim.id, "all", -1, claim.id, "default", row.key, [], manual_clock.micros()
    )
    now = manual_clock.micros()
    assert (await engine.door.write(lambda: gathered.bring(share, now)))[1] == ["a", "b"]
    assert (await engine.door.write(lambda: gathered.bring(share, now)))[1] == ["a", "b"]
    others = replace(share, owner=rest[0].id, execution_id=rest[0].id)
    assert (await engine.door.write(lambda: gathered.bring(others, now)))[1] == []


async def test_a_link_to_answer_is_sent_and_is_written_nowhere(engine):
    engine.env = replace(engine.env, public_url="https://bots.example.com")
    seen = await engine.run(ASKS)
    assert seen.execution.status == "waiting"
    ((note, _),) = engine.sink.sent
    text, _, link = note.text.partition("\n\n")
    assert (text, note.approval) == ("Pay?", "")
    assert note.html == f'<p>Pay?</p>\n<p><a href="{link}">{link}</a></p>'
    place, _, token = link.rpartition("/")
    assert place == "https://bots.example.com/approvals"
    assert token not in await engine.everything_written()
    there, asked = await engine.door.read(follow, token)
    assert there
    assert (asked.execution_id, asked.step) == (seen.execution.id, "ask")
    assert await engine.door.read(follow, token + "x") == (False, None)


async def test_a_link_whose_commit_was_answered_too_late_is_kept_once(engine):
    link = links.Link("token", "default", "exe_1", "ask", -1, 1)
    for _ in range(2):
        await engine.door.write(lambda: links.keep(link))
    assert await engine.door.read(lambda: ApprovalLinkRow.select().count()) == 1


async def test_without_an_address_of_the_api_there_is_no_link_and_nothing_is_sent(engine):
    seen = await engine.run(ASKS)
    assert seen.execution.status == "failed"
    assert "api.public_url" in seen.execution.message
    assert engine.sink.sent == []


async def test_a_notifier_is_used_no_faster_for_one_target_than_it_says(
    engine, later, manual_clock
):
    engine.env = replace(
        engine.env,
        notifier_rate={"sink": Rate(1, 60.0)}.get,  # as the runtime asks it
    )
    bot = await engine.add("""
inputs: {to: {type: string}}
type: notify
with: {to: sink, target: "${{ inputs.to }}", text: hi}
""")
    made = [await engine.start(bot, to=to) for to in ("a", "a", "b")]
    await engine.work()
    assert sorted(target for _, target in engine.sink.sent) == ["a", "b"]
    (waiting,) = [
        seen.execution
        for each in made
        if (seen := await engine.inspect(each)).execution.status == "waiting"
    ]
    assert waiting.message.startswith("waits for rate limit target:sink ")
    assert waiting.lease_at is None
    # It is woken a second early, and sleeps that.
    await later(microseconds=waiting.ready_at - manual_clock.micros() + 1_000_000)
    assert [target for _, target in engine.sink.sent].count("a") == 2


async def test_a_rate_of_the_step_stands_in_for_that_of_its_notifier(engine):
    engine.env = replace(engine.env, notifier_rate={"sink": Rate(1, 60.0)}.get)
    await engine.run("""
steps:
  - id: tell
    type: notify
    foreach: [1, 2]
    rate: {limit: 2, per: 1m}
    with: {to: sink, text: hi}
""")
    assert len(engine.sink.sent) == 2
