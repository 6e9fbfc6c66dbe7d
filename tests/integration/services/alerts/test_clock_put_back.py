"""A clock that was ahead and is put right: alerts are not blind until the time has caught up."""

import pytest

from codex32.kernel.ids import new_id
from codex32.kernel.models import EventRow

DAYS = 2 * 86_400
TELL = "notify: [{to: log}]"


@pytest.fixture
def happened(door, manual_clock):
    """Writes an event that comes now."""

    def write(name):
        at = manual_clock.micros()
        row = {"id": new_id("evt", now=lambda: at / 1e6), "workspace": "default", "name": name}
        door.write_now(
            lambda: EventRow.insert(
                **row, at=at, data="{}", chain="[]", published_by=None
            ).execute()
        )

    return write


def test_a_success_of_the_time_to_come_is_none(store, ended, look, row, manual_clock):
    bot_id = store(f"alerts: [{{name: stale, no_success_for: 1h, {TELL}}}]").bot_id
    manual_clock.advance(DAYS)
    ended(bot_id, "succeeded")
    manual_clock.advance(3600 - DAYS)
    look()
    assert row().state == "firing"
    ended(bot_id, "succeeded")
    look()
    assert row().state == "ok"


def test_a_rate_is_of_what_was_asked_for_until_now(store, ended, look, row, manual_clock):
    rule = f"alerts: [{{name: failing, failure_rate: 0.5, at_least: 2, {TELL}}}]"
    bot_id = store(rule).bot_id
    manual_clock.advance(DAYS)
    ended(bot_id, *["succeeded"] * 10)
    manual_clock.advance(-DAYS)
    ended(bot_id, "failed", "failed")
    look()
    assert row().state == "firing"


def test_an_event_of_the_time_to_come_has_not_come(store, look, row, manual_clock, happened):
    store(
        f"alerts: [{{name: gone, no_event: custom.beat, over: 15m, {TELL}}},"
        f" {{name: came, event: custom.fire, over: 15m, {TELL}}}]"
    )
    manual_clock.advance(DAYS)
    happened("custom.beat")
    happened("custom.fire")
    look()
    assert row("came").state == "firing"
    manual_clock.advance(900 - DAYS)
    look()
    assert (row("gone").state, row("came").state) == ("firing", "ok")


def test_what_was_about_to_fire_fires_and_is_escalated(store, ended, look, row, manual_clock):
    bot_id = store(
        "alerts:\n  - {name: failing, failure_rate: 0.5, at_least: 2, for: 5m, "
        f"{TELL}, escalate: {{after: 10m, {TELL}}}}}"
    ).bot_id
    manual_clock.advance(DAYS)
    ended(bot_id, "failed", "failed")
    look()  # from now on it is wrong
    manual_clock.advance(-DAYS)
    ended(bot_id, "failed", "failed")
    look()
    assert row().state == "ok"
    manual_clock.advance(300)
    look()
    assert row().state == "firing"

    manual_clock.advance(-DAYS)
    look()
    manual_clock.advance(600)
    look()
    assert row().told == "escalated"


def test_a_rule_that_was_made_in_the_time_to_come_is_old_enough(
    store, look, row, manual_clock, now
):
    store(f"alerts: [{{name: gone, no_event: custom.beat, over: 15m, {TELL}}}]")
    manual_clock.advance((now - manual_clock.micros()) / 1e6)
    look()
    assert row().state == "ok"
    manual_clock.advance(-DAYS)
    look()
    assert row().state == "firing"
