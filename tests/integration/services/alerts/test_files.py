"""Alerts about other bots: one for each of them, whichever come and go."""

import pytest

from codex32.kernel.alert_rows import AlertRow, AlertRuleRow
from codex32.kernel.errors import BotDisabled
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import dumps
from codex32.kernel.models import BotRow, EventRow
from codex32.services.alerts import alerts
from codex32.services.alerts.alerts import AlertNotFound
from codex32.services.bots import bots
from codex32.services.executions.starting import Start

BOT = "name: {name}\ntype: set\nwith: {{values: {{}}}}\n"
HOUSE = """\
name: house
alerts:
  - name: failing
    bots: ["report-*", orders]
    failure_rate: 0.5
    at_least: 1
    notify: [{to: log}]
"""


@pytest.fixture
def bot(store):
    """Makes a bot that does next to nothing; its id."""
    return lambda name: store(BOT.format(name=name)).bot_id


@pytest.fixture
def happened(door, manual_clock):
    """Writes an event that happens now, by the doings of some bots."""

    def write(name, *chain, **data):
        now = manual_clock.micros()
        made = new_id("evt", now=lambda: now / 1e6)
        values = {"id": made, "workspace": "default", "name": name, "at": now}
        values["data"] = dumps(data)
        door.write_now(EventRow.insert(values, chain=dumps(list(chain))).execute)

    return write


@pytest.fixture
def house(store):
    """Stores a file of alerts."""
    return lambda text: store(text, works=False)


@pytest.fixture
def rows(door):
    """All alerts as ``{bot: (its id, detail)}``."""

    def read():
        return {each.bot_name: (each.bot_id, each.detail) for each in AlertRow.select()}

    return lambda: door.read_now(read)


def remove(door, name, now):
    door.write_now(lambda: bots.remove(name, now, origin="file"))


def test_each_bot_that_is_meant_has_its_own_alert(door, bot, house, ended, look, rows, notices):
    weekly, orders, _ = bot("report-weekly"), bot("orders"), bot("other")
    house(HOUSE)
    assert rows() == {"report-weekly": (weekly, ""), "orders": (orders, "")}

    ended(orders, "failed")
    assert [look(), look()] == [1, 0]
    ended(weekly, "failed")
    assert look() == 1  # told though another one fires already
    assert [each["title"] for each in notices()] == [
        "orders: failing fires",
        "report-weekly: failing fires",
    ]
    ended(orders, "succeeded", "succeeded")
    look()
    assert notices()[-1]["title"] == "orders: failing is over"


def test_what_fires_together_is_one_notice_of_the_file(bot, house, ended, look, notices):
    first, second = bot("report-a"), bot("report-b")
    house(HOUSE)
    ended(first, "failed")
    ended(second, "failed")
    look()
    (told,) = notices()
    assert told["title"] == "2 alerts of house"
    assert {each["bot"] for each in told["data"]["alerts"]} == {"report-a", "report-b"}


def test_bots_that_come_and_go_are_followed(door, bot, house, look, rows, manual_clock, now):
    house(HOUSE)
    assert rows() == {"orders": ("", "there is no bot 'orders'")}
    bot("report-a")
    near = bot("order")
    look()
    assert rows()["orders"] == ("", "there is no bot 'orders' (did you mean 'order'?)")
    orders = bot("orders")
    look()
    assert rows().keys() == {"report-a", "orders"}
    assert rows()["orders"] == (orders, "")
    assert near not in {bot_id for bot_id, _ in rows().values()}

    remove(door, "report-a", now)
    remove(door, "orders", now)
    look()
    assert rows() == {"orders": ("", "there is no bot 'orders' (did you mean 'order'?)")}
    remove(door, "house", now)
    look()
    assert rows() == {}
    assert door.read_now(lambda: AlertRuleRow.select().count()) == 0


def test_an_alert_stands_over_versions_as_long_as_it_means_the_bot(
    bot, house, ended, look, row, notices
):
    orders = bot("orders")
    house(HOUSE)
    ended(orders, "failed")
    look()
    house(HOUSE.replace("0.5", "0.9"))
    assert (look(), row().state) == (0, "firing")
    house(HOUSE.replace(", orders", ""))
    assert look() == 0
    house(HOUSE)
    look()
    assert (row().state, len(notices())) == ("firing", 2)  # it is another one


def test_who_is_paused_is_not_looked_at_and_does_not_look(door, bot, house, ended, look, now):
    orders = bot("orders")
    house = house(HOUSE).bot_id
    ended(orders, "failed")
    for paused in (orders, house):
        door.write_now(BotRow.update(paused=BotRow.id == paused).execute)
        assert look() == 0
    door.write_now(BotRow.update(paused=False).execute)
    assert look() == 1


def test_a_pattern_of_many_stars_holds_up_no_scheduler(house, look, rows, bot):
    house(HOUSE.replace('["report-*", orders]', f'["{"a*" * 20}b", "*{"a*" * 20}"]'))
    bot("a" * 40)
    bot("a" * 19)
    look()
    assert rows().keys() == {"a" * 40}


def test_files_of_alerts_are_not_meant_by_patterns(house, look, rows, bot):
    every = HOUSE.replace('["report-*", orders]', '["*"]')
    house(every)
    house(every.replace("house", "other-house"))
    look()
    assert rows() == {}
    bot("ping")
    look()
    assert rows().keys() == {"ping"}


def test_a_file_of_alerts_is_not_executed(house, watch):
    house(HOUSE)
    with pytest.raises(BotDisabled, match="nothing to execute"):
        watch._starter.start_now(Start(bot="house"))


def test_of_several_of_one_name_the_owner_tells_which(door, bot, store, house):
    bot("orders")
    house(HOUSE)
    store(BOT.format(name="orders") + "alerts: [{name: failing, late_by: 5m}]")
    with pytest.raises(AlertNotFound, match="house/failing or orders/failing"):
        door.read_now(alerts.find, "orders", "failing")
    found = door.read_now(alerts.find, "orders", "house/failing")
    assert (found.owner_name, alerts.as_dict(found, 0)["said_by"]) == ("house", "house")


def test_very_many_are_followed_piece_by_piece(bot, house, look, rows, monkeypatch):
    monkeypatch.setattr("codex32.services.bots.alert_rules.MOST", 2)
    for number in range(5):
        bot(f"report-{number}")
    house(HOUSE.replace(", orders", ""))
    assert len(rows()) == 2
    look()
    assert len(rows()) == 4
    look()
    assert len(rows()) == 5


@pytest.mark.parametrize("name", ["worker.lost", "plugin.failed", "budget.exhausted"])
def test_what_concerns_all_fires_when_it_comes_and_is_over_when_it_stays_away(
    house, look, happened, row, notices, manual_clock, name
):
    house(f"name: house\nalerts: [{{name: bad, event: {name}, over: 10m, notify: [{{to: log}}]}}]")
    assert look() == 0
    happened(name)
    assert [look(), look(), row().state] == [1, 0, "firing"]
    manual_clock.advance(601)
    assert [look(), row().state] == [1, "ok"]
    assert [each["title"] for each in notices()] == ["house: bad fires", "house: bad is over"]


def test_a_notice_says_which_worker_or_budget_it_was(house, look, happened, row, notices):
    house("name: house\nalerts: [{name: bad, event: budget.warned, notify: [{to: log}]}]")
    happened("budget.warned", budget="bot:orders 2026-01", percent=50)
    happened("budget.warned", budget="bot:reports 2026-01", percent=80)
    look()
    came = "budget.warned came at least once within 1h00m"
    told = f"{came}: budget: bot:reports 2026-01, percent: 80"
    assert row().detail == told
    assert [each["text"] for each in notices()] == [told]


def test_what_an_event_tells_is_not_told_at_any_length(house, look, happened, row):
    house("name: house\nalerts: [{name: bad, event: custom.fire, notify: [{to: log}]}]")
    happened("custom.fire", place="x" * 200_000)
    look()
    assert row().state == "firing"
    assert len(row().detail) < 400


def test_an_event_that_must_come_is_missed_and_welcome(house, look, happened, row, manual_clock):
    house("name: house\nalerts: [{name: beat, no_event: custom.beat, over: 10m}]")
    manual_clock.advance(590)
    assert look() == 0
    manual_clock.advance(20)
    assert [look(), row().state] == [1, "firing"]
    happened("custom.beat")
    assert [look(), row().state] == [1, "ok"]


def test_what_notices_do_neither_ends_an_alert_nor_begins_one(
    house, look, happened, row, manual_clock
):
    house(
        "name: house\nalerts:\n"
        "  - {name: idle, no_event: execution.succeeded, over: 10m}\n"
        "  - {name: failed, event: execution.failed, over: 10m}\n"
    )
    manual_clock.advance(601)
    look()
    happened("execution.succeeded", "alert-notices")
    happened("execution.failed", "alert-notices")
    assert [look(), row("idle").state, row("failed").state] == [0, "firing", "ok"]
    happened("execution.succeeded", "ping")
    happened("execution.failed", "ping")
    assert [look(), row("idle").state, row("failed").state] == [2, "ok", "firing"]
