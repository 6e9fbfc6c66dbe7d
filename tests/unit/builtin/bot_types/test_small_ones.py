"""The bot types of a few lines: approve, bot, dedupe, end, notify, set, wait."""

from datetime import UTC, datetime, timedelta

import pytest

from codex32 import (
    Effect,
    Ended,
    EventAwaited,
    ExecutionRef,
    Failed,
    Notification,
    Skipped,
    Succeeded,
    Waited,
    Waiting,
)
from codex32.builtin.bot_types.approve import ApproveBotType
from codex32.builtin.bot_types.bot import BotBotType
from codex32.builtin.bot_types.dedupe import DedupeBotType
from codex32.builtin.bot_types.end import EndBotType
from codex32.builtin.bot_types.event import EventBotType
from codex32.builtin.bot_types.notify import NotifyBotType
from codex32.builtin.bot_types.set import SetBotType
from codex32.builtin.bot_types.wait import WaitBotType


async def test_set_hands_on_values_and_writes_state(context):
    outcome = await SetBotType().run(context, {"values": {"a": 1}, "state": {"b": None}})
    assert outcome == Succeeded({"a": 1}, state={"b": None})


async def test_end_ends_the_execution(context):
    assert await EndBotType().run(context, {}) == Ended("succeeded", "", None)
    params = {"status": "skipped", "message": "nothing new", "output": 1}
    assert await EndBotType().run(context, params) == Ended("skipped", "nothing new", 1)
    assert EndBotType.single


async def test_notify_sends_under_the_key_of_its_step(context):
    notify = NotifyBotType()
    params = {"to": "log", "text": "hi", "title": "T", "data": {"a": 1}, "target": "x"}
    assert await notify.run(context, params) == Succeeded({"id": "r-1"})
    assert context.notified == [("log", Notification("hi", "T", {"a": 1}, "key-1"), "x")]
    assert notify.effect(params) is Effect.ONCE


async def test_notify_fills_templates_from_data_and_escapes_html(context):
    params = {
        "to": "log",
        "template": "{{n}} files from {{who}}",
        "html": "<b>{{who}}</b>",
        "data": {"n": 3, "who": "<script>"},
        "reply_to": "r-0",
    }
    await NotifyBotType().run(context, params)
    ((_, sent, _),) = context.notified
    assert sent.text == "3 files from <script>"
    assert sent.html == "<b>&lt;script&gt;</b>"
    assert sent.reply_to == "r-0"


async def test_notify_that_replaces_may_be_repeated():
    assert NotifyBotType().effect({"to": "x", "text": "a", "update": "1"}) is Effect.IDEMPOTENT


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "needs `text` or `template`"),
        ({"text": "a", "template": "b"}, "not both"),
        ({"template": "{{#a}}"}, "the section a is not closed"),
        ({"template": "${{ inputs.a }}"}, "hand values over in `data`"),
        ({"text": "a", "html": "${{ inputs.a }}"}, "hand values over in `data`"),
    ],
)
def test_notify_says_what_is_wrong_with_a_template_when_the_file_is_read(params, message):
    (fault,) = NotifyBotType().check({"to": "log", **params})
    assert message in fault.message


async def test_a_template_that_grows_beyond_bounds_fails_the_step(context):
    long = ["x" * 1000] * 100
    params = {
        "to": "log",
        "template": "{{#a}}{{#a}}{{.}}{{/a}}{{/a}}",
        "data": {"a": long},
    }
    outcome = await NotifyBotType().run(context, params)
    assert isinstance(outcome, Failed)
    assert "longer than" in outcome.message


async def test_dedupe_passes_on_what_was_not_seen(context):
    dedupe = DedupeBotType()
    params = {"items": [{"a": 1, "b": 2}, {"b": 2, "a": 1}, "x"]}
    assert await dedupe.run(context, params) == Succeeded([{"a": 1, "b": 2}, "x"])
    assert await dedupe.run(context, {"items": ["x", "y"]}) == Succeeded(["y"])


async def test_dedupe_asks_for_the_key_of_each_item(context):
    context.evaluator = lambda expression, item: item[expression]
    items = [{"id": 1, "n": 1}, {"id": 1, "n": 2}, {"id": "1", "n": 3}]
    outcome = await DedupeBotType().run(context, {"items": items, "key": "id", "keep": "30d"})
    assert [item["n"] for item in outcome.output] == [1, 3]
    assert context.kept_seconds == [30 * 86400.0]


async def test_dedupe_takes_many_items(context):
    outcome = await DedupeBotType().run(context, {"items": list(range(1000)) * 2})
    assert outcome.output == list(range(1000))


async def test_bot_waits_for_the_other_bot_and_hands_on_its_output(context):
    bot = BotBotType()
    assert await bot.run(context, {"name": "other", "inputs": {"a": 1}}) == Waiting(token="exe_2")
    context.child = ExecutionRef("exe_2", "other", "succeeded", ended=True, output=[1])
    context.waited = Waited(answer="exe_2")
    assert await bot.run(context, {"name": "other", "inputs": {"a": 1}}) == Succeeded([1])
    assert context.executed == [("other", {"a": 1})] * 2


async def test_bot_need_not_wait(context):
    outcome = await BotBotType().run(context, {"name": "other", "wait": False})
    assert outcome == Succeeded({"execution": "exe_2"})


async def test_bot_fails_as_the_other_bot_did(context):
    error = {"message": "no feed", "code": "http-404"}
    context.child = ExecutionRef("exe_2", "other", "failed", ended=True, error=error)
    outcome = await BotBotType().run(context, {"name": "other"})
    assert outcome == Failed(
        "other failed in its execution exe_2: no feed",
        code="http-404",
        detail={"execution": "exe_2", "error": error},
    )


async def test_bot_fails_where_the_other_was_cancelled(context):
    context.child = ExecutionRef("exe_2", "other", "cancelled", ended=True)
    outcome = await BotBotType().run(context, {"name": "other"})
    assert isinstance(outcome, Failed)
    assert not outcome.retryable


async def test_bot_is_skipped_where_the_other_was(context):
    context.child = ExecutionRef("exe_2", "other", "skipped", ended=True)
    assert isinstance(await BotBotType().run(context, {"name": "other"}), Skipped)


async def test_wait_waits_once(context, clock):
    wait = WaitBotType(clock)
    until = clock.now() + timedelta(hours=2)
    assert await wait.run(context, {"for": "2h"}) == Waiting(until=until)
    context.waited = Waited(timed_out=True)
    assert await wait.run(context, {"for": "2h"}) == Succeeded(None)


async def test_wait_waits_until_a_moment(context, clock):
    wait = WaitBotType(clock)
    outcome = await wait.run(context, {"until": "2026-03-01T20:00:00+02:00"})
    assert outcome == Waiting(until=datetime(2026, 3, 1, 18, tzinfo=UTC))
    assert await wait.run(context, {"until": "2026-02-01T00:00:00Z"}) == Succeeded(None)


async def test_wait_fails_on_what_is_no_moment(context, clock):
    outcome = await WaitBotType(clock).run(context, {"until": "tomorrow"})
    assert isinstance(outcome, Failed)
    assert "ISO 8601" in outcome.message


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({}, ""),
        ({"for": "1s", "until": "2026-01-01T00:00:00Z"}, ""),
        ({"until": "2026-01-01T00:00:00"}, "until"),
        ({"until": "9999-12-31T23:59:59-10:00"}, "until"),
        ({"event": "execution.fail"}, "event"),
        ({"event": "custom.paid", "for": "1s", "until": "2026-01-01T00:00:00Z"}, ""),
        ({"for": "1s", "if": "event.data.a == 1"}, "if"),
    ],
)
def test_wait_wants_one_clear_time(params, path):
    (problem,) = WaitBotType().check(params)
    assert problem.path == path


async def test_wait_waits_for_an_event_and_hands_it_on(context, clock):
    wait = WaitBotType(clock)
    params = {"event": "custom.paid", "if": "event.data == values.n", "values": {"n": 1}}
    awaited = EventAwaited("custom.paid", "event.data == values.n", {"n": 1})
    assert await wait.run(context, params) == Waiting(event=awaited)
    until = clock.now() + timedelta(minutes=1)
    assert await wait.run(context, {**params, "for": "1m"}) == Waiting(until, event=awaited)
    context.waited = Waited(answer={"name": "custom.paid"})
    assert await wait.run(context, params) == Succeeded({"name": "custom.paid"})


async def test_wait_fails_on_an_event_that_there_is_not(context, clock):
    outcome = await WaitBotType(clock).run(context, {"event": "execution.fail"})
    assert isinstance(outcome, Failed)
    assert "did you mean 'execution.failed'?" in outcome.message


async def test_event_leaves_its_event_to_the_engine(context):
    outcome = await EventBotType().run(context, {"name": "custom.paid", "data": [1]})
    (event,) = outcome.events
    assert (event.name, event.data) == ("custom.paid", [1])
    assert outcome.output == {"id": event.id}
    assert EventBotType().effect({}) is Effect.NONE


def test_event_publishes_what_is_custom_alone():
    (problem,) = EventBotType().check({"name": "execution.failed"})
    assert "told by the house itself" in problem.message
    assert list(EventBotType().check({"name": "custom.${{ inputs.kind }}"})) == []


def test_wait_lets_expressions_through():
    assert list(WaitBotType().check({"until": "${{ inputs.when }}"})) == []


ASKED = {"text": "Go?", "expires": "1h", "form": {"n": {"default": 2}, "why": {}}}


@pytest.mark.parametrize("approved", [True, False])
async def test_approve_hands_on_what_was_decided(context, approved):
    answer = {"approved": approved, "by": "anna", "at": "then", "form": {}, "note": None}
    context.waited = Waited(answer=answer)
    assert await ApproveBotType().run(context, ASKED) == Succeeded(answer)


@pytest.mark.parametrize(("on_expire", "approved"), [("reject", False), ("approve", True)])
async def test_approve_does_as_said_where_nobody_decides(context, on_expire, approved):
    context.waited = Waited(timed_out=True)
    outcome = await ApproveBotType().run(context, {**ASKED, "on_expire": on_expire})
    assert (outcome.output["approved"], outcome.output["by"]) == (approved, None)
    assert outcome.output["form"] == {"n": 2}


async def test_approve_fails_where_nobody_decides_if_that_was_wished(context):
    context.waited = Waited(timed_out=True)
    outcome = await ApproveBotType().run(context, {**ASKED, "on_expire": "fail"})
    assert isinstance(outcome, Failed)
    assert outcome.code == "approval-expired"
