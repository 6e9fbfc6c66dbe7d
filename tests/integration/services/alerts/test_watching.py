"""Alerts fire, are told once, and are over; whatever schedulers do meanwhile."""

import asyncio
import itertools

import pytest

from codex32 import Caller
from codex32.engine.reading.building import build_bot
from codex32.kernel import fault_points
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.bot import ALERT_NOTICES
from codex32.kernel.errors import InvalidTransition
from codex32.kernel.json_values import loads
from codex32.kernel.models import BotRow, ExecutionRow, VersionRow
from codex32.services.alerts import alerts, watching

ADA = Caller("user", "usr_1", "ada")
FAILING = """\
alerts:
  - name: failing
    failure_rate: 0.5
    over: 1h
    at_least: 2
    notify: [{to: log}]
"""


def test_what_fails_is_told_once_and_its_recovery_once(store, ended, look, row, notices):
    bot_id = store(FAILING).bot_id
    ended(bot_id, "failed")
    assert look() == 0  # one says nothing
    ended(bot_id, "failed")

    assert [look(), look(), look()] == [1, 0, 0]

    assert (row().state, row().told) == ("firing", "firing")
    (told,) = notices()
    assert told["title"] == "ping: failing fires"
    assert told["text"] == "2 of 2 executions failed within 1h00m (100%)"
    (about,) = told["data"]["alerts"]
    assert (about["bot"], about["alert"], about["state"]) == ("ping", "failing", "firing")

    ended(bot_id, "succeeded", "succeeded", "succeeded")
    assert [look(), look()] == [1, 0]
    assert row().state == "ok"
    assert [each["title"] for each in notices()] == [
        "ping: failing fires",
        "ping: failing is over",
    ]


def test_a_firing_alert_without_new_executions_is_not_taken_to_be_over(
    store, ended, look, row, manual_clock
):
    ended(store(FAILING).bot_id, "failed", "failed")
    look()
    manual_clock.advance(1800)
    assert look() == 0
    assert row().state == "firing"


def test_it_must_be_wrong_and_well_for_as_long_as_the_rule_says(
    store, ended, look, row, notices, manual_clock
):
    rule = FAILING.replace("over: 1h", "over: 1d") + "    for: 5m\n    keep_firing: 10m\n"
    bot_id = store(rule).bot_id
    ended(bot_id, "failed", "failed")
    look()
    assert (row().state, notices()) == ("ok", [])
    manual_clock.advance(299)
    look()
    assert row().state == "ok"
    manual_clock.advance(1)
    look()
    assert row().state == "firing"

    ended(bot_id, "succeeded", "succeeded", "succeeded")
    look()
    manual_clock.advance(500)
    ended(bot_id, *["failed"] * 9)
    look()  # wrong again before it was well for long enough
    ended(bot_id, *["succeeded"] * 20)
    look()
    manual_clock.advance(599)
    look()
    assert row().state == "firing"
    manual_clock.advance(1)
    look()
    assert (row().state, len(notices())) == ("ok", 2)


def test_no_success_for_so_long_fires_once_the_rule_is_old_enough(
    store, ended, look, row, manual_clock, now
):
    manual_clock.advance(now / 1e6 - manual_clock.micros() / 1e6)
    bot_id = store("alerts: [{name: stale, no_success_for: 1h, notify: [{to: log}]}]").bot_id
    manual_clock.advance(3599)
    assert look() == 0
    ended(bot_id, "failed")
    manual_clock.advance(2)
    look()
    assert row().state == "firing"
    assert row().detail == "no execution has succeeded for 1h00m"
    ended(bot_id, "succeeded")
    look()
    assert row().state == "ok"


def test_a_time_that_nobody_answers_is_late(store, look, row, manual_clock, now):
    store("triggers: [{every: 1h}]\nalerts: [{name: late, late_by: 5m, notify: [{to: log}]}]")
    manual_clock.advance(3600 + 299)
    look()
    assert row().state == "ok"
    manual_clock.advance(1)
    look()
    assert row().state == "firing"
    assert row().detail == "a time of its triggers has waited for 5m00s"


def test_what_is_next_has_been_queued_for_long(door, store, execution, look, row, manual_clock):
    bot_id = store("alerts: [{name: queue, queued_for: 10m, notify: [{to: log}]}]").bot_id
    at = manual_clock.micros()
    queued = door.write_now(lambda: execution(bot_id=bot_id, ready_at=at, created_at=at))
    manual_clock.advance(600)
    look()
    assert row().state == "firing"
    door.write_now(
        lambda: (
            ExecutionRow.update(status="running", ready_at=None)
            .where(ExecutionRow.id == queued)
            .execute()
        )
    )
    look()
    assert row().state == "ok"


@pytest.fixture
def six(at_once, watch, door, store, ended):
    """Six schedulers have seen the same."""
    ended(store(FAILING).bot_id, "failed", "failed")
    news, _ = door.read_now(watching.look, watch._clock.micros())
    return at_once(6, lambda: watch.write(news))


def test_of_several_schedulers_that_see_the_same_one_tells(six, notices):
    assert sorted(six) == [0, 0, 0, 0, 0, 1]
    assert len(notices()) == 1


def test_a_scheduler_that_dies_in_between_leaves_nothing_behind(
    store, ended, look, row, notices, watch
):
    ended(store(FAILING).bot_id, "failed", "failed")

    def die():
        raise RuntimeError("killed")

    fault_points.arm("alerts.after_claim", die)
    try:
        with pytest.raises(RuntimeError):
            look()
    finally:
        fault_points.disarm()
    assert (row().state, notices()) == ("ok", [])
    look()
    assert (row().state, len(notices())) == ("firing", 1)


def test_what_is_told_to_the_same_is_told_at_once(store, ended, look, notices, door):
    text = FAILING + FAILING.partition("\n")[2].replace("failing", "worse").replace("0.5", "0.9")
    ended(store(text).bot_id, "failed", "failed")
    assert look() == 2
    (told,) = notices()
    assert told["title"] == "2 alerts of ping"
    assert len(told["text"].splitlines()) == 2
    held = door.read_now(lambda: [loads(each.notices) for each in AlertRow.select()])
    assert held[0] == held[1]
    assert len(held[0]) == 1


def test_a_silent_alert_tells_nobody_and_what_is_still_so_is_told_afterwards(
    store, ended, look, row, notices, door, manual_clock
):
    bot_id = store(FAILING).bot_id
    silence = lambda seconds: door.write_now(  # noqa: E731
        lambda: alerts.silence(row().id, seconds, ADA, manual_clock.micros(), note="deploy")
    )
    silence(600)
    ended(bot_id, "failed", "failed")
    look()
    assert (row().state, row().told, notices()) == ("firing", "ok", [])
    ended(bot_id, "succeeded", "succeeded", "succeeded")
    look()
    assert (row().state, notices()) == ("ok", [])

    ended(bot_id, *["failed"] * 9)
    look()
    manual_clock.advance(600)
    look()
    assert len(notices()) == 1
    assert row().told == "firing"


ESCALATES = FAILING + "    escalate: {after: 30m, notify: [{to: log, target: boss}]}\n"


def test_what_nobody_looks_after_is_escalated_once_and_its_end_is_told_to_both(
    store, ended, look, row, notices, manual_clock
):
    bot_id = store(ESCALATES.replace("1h", "1d")).bot_id
    ended(bot_id, "failed", "failed")
    look()
    manual_clock.advance(1800)
    assert [look(), look()] == [1, 0]
    assert row().told == "escalated"
    assert notices()[1]["title"] == "ping: failing still fires, and nobody looks after it"
    ended(bot_id, "succeeded", "succeeded", "succeeded")
    look()
    assert len(notices()) == 4


def test_of_several_who_look_after_it_at_once_the_first_counts(
    at_once, store, ended, look, row, manual_clock
):
    ended(store(FAILING).bot_id, "failed", "failed")
    look()
    held, now, numbers = row().id, manual_clock.micros(), itertools.count()

    def take():
        who = Caller("user", "usr_1", f"user {next(numbers)}")
        return alerts.acknowledge(held, who, now).acknowledged_by

    taken = at_once(6, take)
    assert set(taken) == {row().acknowledged_by}


def test_what_somebody_looks_after_is_not_escalated_until_it_fires_anew(
    store, ended, look, row, notices, door, manual_clock
):
    bot_id = store(ESCALATES.replace("1h", "2h")).bot_id
    take = lambda: door.write_now(  # noqa: E731
        lambda: alerts.acknowledge(row().id, ADA, manual_clock.micros())
    )
    with pytest.raises(InvalidTransition):
        take()
    ended(bot_id, "failed", "failed")
    look()
    take()
    manual_clock.advance(1800)
    assert look() == 0
    ended(bot_id, "succeeded", "succeeded", "succeeded")
    look()
    assert row().acknowledged_by is None
    ended(bot_id, *["failed"] * 9)
    look()
    manual_clock.advance(1800)
    look()
    assert row().told == "escalated"


def test_what_could_not_be_told_before_it_turned_is_not_told_behind_it(
    store, ended, look, door, manual_clock
):
    """Else whoever was out of reach would read last that it fires, when it is long over."""

    def carried():
        rows = ExecutionRow.select().where(ExecutionRow.trigger_kind == "alert")
        return door.read_now(lambda: list(rows.order_by(ExecutionRow.id)))

    def stand(row, **columns):
        this = ExecutionRow.id == row.id
        door.write_now(ExecutionRow.update(**columns).where(this).execute)

    bot_id = store(ESCALATES.replace("1h", "1d")).bot_id
    ended(bot_id, "failed", "failed")
    look()
    (fires,) = carried()
    stand(fires, status="waiting", started_at=1, ready_at=manual_clock.micros() + 1)  # a retry
    manual_clock.advance(1800)
    look()
    ended(bot_id, *["succeeded"] * 5)
    look()

    first, escalated, *ends = carried()
    assert (first.cancel_at is not None, first.message) == (True, "what it tells is true no more")
    assert escalated.status == "cancelled"  # it had not begun
    assert [each.status for each in ends] == ["queued", "queued"]

    stand(ends[0], status="waiting", started_at=1, ready_at=None)  # may have been sent
    stand(ends[1], status="succeeded", finished_at=1, ready_at=None)
    ended(bot_id, *["failed"] * 8)
    look()
    known = carried()
    assert [each.cancel_at for each in known[2:]] == [None, None, None]


def test_a_notice_outlives_a_night_without_its_service_and_no_try_takes_long(
    store, ended, look, door, components
):
    bot_id = store(FAILING).bot_id
    ended(bot_id, "failed", "failed")
    look()
    row = door.read_now(lambda: VersionRow.get(VersionRow.origin == "run"))
    bot = build_bot(loads(row.document))
    pauses = [
        min(bot.retry.first_seconds * bot.retry.factor**tries, bot.retry.max_seconds)
        for tries in range(bot.retry.attempts - 1)
    ]
    assert (sum(pauses) > 20 * 3600, max(pauses) <= 900) == (True, True)
    assert bot.timeout_seconds >= bot.retry.attempts * bot.steps[0].timeout_seconds
    assert bot.steps[0].timeout_seconds <= 60


def test_its_end_is_told_once_to_who_was_told_twice_of_its_beginning(
    store, ended, look, notices, manual_clock
):
    bot_id = store(ESCALATES.replace("1h", "1d").replace(", target: boss", "")).bot_id
    ended(bot_id, "failed", "failed")
    look()
    manual_clock.advance(1800)
    look()
    ended(bot_id, "succeeded", "succeeded", "succeeded")
    look()
    assert [each["title"] for each in notices()][2:] == ["ping: failing is over"]
    assert len(notices()[2]["text"].splitlines()) == 1


def test_another_event_is_missed_only_once_it_could_have_come(store, look, row, manual_clock):
    text = "alerts: [{name: silent, no_event: custom.%s, notify: [{to: log}]}]"
    store(text % "first", at=manual_clock.micros())
    manual_clock.advance(3000)
    store(text % "other", at=manual_clock.micros())
    manual_clock.advance(3000)
    assert look() == 0
    manual_clock.advance(601)
    look()
    assert (row().state, row().detail) == ("firing", "custom.other has not come for 1h00m")


def test_an_alert_stands_as_it_stood_when_its_bot_changes_and_goes_with_it(
    store, ended, look, row, door, registry, now
):
    bot_id = store(FAILING).bot_id
    ended(bot_id, "failed", "failed")
    look()
    store(FAILING.replace("0.5", "0.6"))
    assert row().state == "firing"
    store("description: without")
    assert door.read_now(lambda: AlertRow.select().count()) == 0


def test_a_paused_bot_is_not_looked_at(store, ended, look, row, door):
    bot_id = store(FAILING).bot_id
    ended(bot_id, "failed", "failed")
    pause = lambda paused: door.write_now(  # noqa: E731
        lambda: BotRow.update(paused=paused).where(BotRow.id == bot_id).execute()
    )
    pause(True)
    assert look() == 0
    pause(False)
    assert look() == 1


def test_notices_have_the_powers_of_the_bot_and_no_alerts_of_their_own(
    store, ended, look, door, notices
):
    text = "allow: {hosts: [hooks.example.com], secrets: [HOOK]}\n" + FAILING.replace(
        "{to: log}", '{to: webhook, target: "${{ secrets.HOOK }}"}'
    )
    ended(store(text).bot_id, "failed", "failed")
    look()

    def carrier():
        bot = BotRow.get(BotRow.name == ALERT_NOTICES)
        return bot, loads(VersionRow.get(VersionRow.bot_id == bot.id).document)

    bot, document = door.read_now(carrier)
    assert (bot.origin, bot.removed_at is None) == ("run", False)  # it stands in no list
    assert document["allow"] == {"hosts": ["hooks.example.com"], "secrets": ["HOOK"]}
    assert document["steps"][0]["with"]["target"] == "${{ secrets.HOOK }}"
    assert "alerts" not in document
    assert "example.com" not in str(notices())


def test_ten_pages_of_alerts_are_all_looked_at(store, ended, look, door, watch, monkeypatch):
    monkeypatch.setattr(watching, "PAGE", 2)
    for number in range(5):
        ended(store(f"name: bot-{number}\n{FAILING}").bot_id, "failed", "failed")
    assert asyncio.run(watch.look()) == 5
