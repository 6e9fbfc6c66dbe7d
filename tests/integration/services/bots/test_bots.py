from collections.abc import Callable
from typing import Any

import pytest

from codex32 import BotChanged, BotFailed, BotInvalid, BotNotFound, Problem
from codex32.kernel.database import Door
from codex32.kernel.errors import BotReadOnly, VersionNotFound
from codex32.kernel.models import BotRow, ExecutionRow, TriggerRow, VersionRow
from codex32.services.bots import bot_views, bots, schedules
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import Stored, Written

SECOND = 1_000_000
HOUR = 3600 * SECOND


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def door(open_door: Callable[..., Door], told: list[Any]) -> Door:
    return open_door(on_commit=told.extend)


def get(door: Door, name: str = "ping") -> BotRow:
    return door.read_now(bots.get, name)


def triggers(door: Door) -> list[TriggerRow]:
    return door.read_now(lambda: list(TriggerRow.select().order_by(TriggerRow.kind)))


def test_a_changed_definition_is_a_new_version_and_an_equal_one_is_none(
    door: Door, store: Callable[..., Stored], told: list[Any]
) -> None:
    first = store("priority: 1")
    again = store("# a comment\npriority: 1")
    second = store("priority: 2")

    assert [each.number for each in (first, again, second)] == [1, 1, 2]
    assert [each.change for each in (first, again, second)] == ["created", None, "changed"]
    assert get(door).active_version_id == second.version_id
    assert [v.number for v in door.read_now(bots.history, "ping")] == [2, 1]
    door.close()
    assert [(e.change, e.version) for e in told if isinstance(e, BotChanged)] == [
        ("created", 1),
        ("changed", 2),
    ]


def test_a_trigger_keeps_its_next_time_while_its_rule_stays(
    door: Door, store: Callable[..., Stored], now: int
) -> None:
    store("triggers: [{every: 1h, overlap: skip}, {cron: '0 8 * * *'}]")
    before = triggers(door)

    store(
        "triggers: [{every: 1h, overlap: allow}, {cron: '0 8 * * *', timezone: Asia/Tokyo}]",
        at=now + 90 * 60 * SECOND,
    )
    after = triggers(door)

    assert [t.kind for t in after] == ["cron", "every"]
    assert (after[1].id, after[1].next_at) == (before[1].id, before[1].next_at)
    assert before[1].next_at == now + HOUR
    assert schedules.restored(after[1].definition).overlap == "allow"
    assert after[0].id != before[0].id
    assert after[0].next_at == now + 11 * HOUR  # 08:00 in Tokyo is 23:00 UTC


def test_two_equal_rules_are_two_triggers(door: Door, store: Callable[..., Stored]) -> None:
    store("triggers: [{every: 1h}, {every: 1h, if: 'true'}]")
    first = {t.id for t in triggers(door)}

    store("priority: 3\ntriggers: [{every: 1h}, {every: 1h, if: 'true'}]")

    assert len(first) == 2
    assert {t.id for t in triggers(door)} == first


def test_a_switched_off_trigger_begins_anew_when_it_is_switched_on(
    door: Door, store: Callable[..., Stored], now: int
) -> None:
    store("triggers: [{every: 1h}]")
    store("enabled: false\ntriggers: [{every: 1h}]")
    (off,) = triggers(door)
    store("triggers: [{every: 1h}]", at=now + 5 * HOUR + 1)
    (on,) = triggers(door)

    assert (off.enabled, off.next_at) == (False, None)
    assert (on.id, on.enabled, on.next_at) == (off.id, True, now + 6 * HOUR)


def test_a_time_that_was_lost_or_lies_too_far_ahead_is_mended(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int
) -> None:
    store("triggers: [{every: 1h}, {cron: '0 * * * *'}, {at: '2020-01-01T00:00:00Z'}]")
    rows = triggers(door)
    for kind, wrong in (("every", None), ("cron", now + 99 * HOUR)):
        door.write_now(
            lambda kind=kind, wrong=wrong: (
                TriggerRow.update(next_at=wrong).where(TriggerRow.kind == kind).execute()
            )
        )

    astray = door.read_now(schedules.find_astray, registry._types, now)
    mended = door.write_now(lambda: schedules.set_right(astray))

    assert mended == 2
    assert [t.next_at for t in triggers(door)] == [t.next_at for t in rows]
    assert rows[0].next_at is None  # a moment that has passed


def test_triggers_that_went_astray_are_looked_for_a_few_at_a_time(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int
) -> None:
    store("triggers: [{every: 1h}, {every: 2h}, {every: 3h}]")
    door.write_now(lambda: TriggerRow.update(next_at=now + 999 * HOUR).execute())

    first = door.read_now(schedules.find_astray, registry._types, now, "", 2)
    assert first.last is not None
    rest = door.read_now(schedules.find_astray, registry._types, now, first.last, 2)

    assert (len(first.times), len(rest.times), rest.last) == (2, 1, None)


def test_a_rollback_holds_until_the_file_changes(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int
) -> None:
    file = {"origin": "file", "source": "/bots/ping.yaml"}
    store("triggers: [{every: 1h}]", **file)
    store("triggers: [{every: 2h}]", **file)

    door.write_now(lambda: registry.rollback("ping", 1, now))
    unchanged = store("triggers: [{every: 2h}]", **file)

    assert (unchanged.number, unchanged.change) == (1, None)
    assert [schedules.restored(t.definition).config for t in triggers(door)] == ["1h"]
    assert door.read_now(lambda: bot_views.as_dict(bot_views.view("ping")))["pinned"]

    changed = store("triggers: [{every: 3h}]", **file)

    assert (changed.number, changed.change) == (3, "changed")
    assert get(door).pinned_digest is None


def test_a_rollback_to_a_version_that_is_not_there_names_those_that_are(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int
) -> None:
    store("priority: 1")

    with pytest.raises(VersionNotFound, match="7 of ping; there are: 1 to 1"):
        door.write_now(lambda: registry.rollback("ping", 7, now))


def test_a_file_and_the_api_do_not_take_bots_from_each_other(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int
) -> None:
    store("name: mine", origin="api")
    store("name: filed", origin="file", source="/bots/filed.yaml")

    with pytest.raises(BotInvalid, match="made through the API"):
        store("name: mine\npriority: 1", origin="file", source="/bots/mine.yaml")
    with pytest.raises(BotReadOnly, match=r" bots/filed\.yaml"):
        store("name: filed\npriority: 1", origin="api")
    with pytest.raises(BotReadOnly):
        door.write_now(lambda: bots.remove("filed", now, origin="api"))


def test_a_removed_bot_keeps_its_history_and_comes_back(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int
) -> None:
    store("triggers: [{every: 1h}]")
    door.write_now(lambda: bots.remove("ping", now, origin="api"))

    assert [t.enabled for t in triggers(door)] == [False]
    assert door.read_now(bot_views.listing) == []
    assert len(door.read_now(bots.history, "ping")) == 1

    back = store("triggers: [{every: 1h}]")

    assert (back.number, back.change) == (1, "restored")
    assert [(t.enabled, t.next_at) for t in triggers(door)] == [(True, now + HOUR)]
    assert get(door).removed_at is None


def test_a_broken_file_keeps_the_version_that_worked_and_is_told_once(
    door: Door, store: Callable[..., Stored], registry: Registry, now: int, told: list[Any]
) -> None:
    source = "/bots/ping.yaml"
    worked = store("priority: 1", origin="file", source=source)
    problems = [Problem("unknown key", "stepz", source, 3, 1)]

    news = [door.write_now(lambda: bots.fail("ping", source, problems, now)) for _ in range(2)]
    (view,) = door.read_now(bot_views.listing)

    assert news == [True, False]
    assert (view.standing, view.number) == ("broken", 1)
    assert bot_views.as_dict(view)["problems"][0]["line"] == 3
    assert get(door).active_version_id == worked.version_id

    mended = store("priority: 1", origin="file", source=source)

    assert mended.change == "restored"
    assert get(door).problems is None
    door.close()
    (event,) = [e for e in told if isinstance(e, BotFailed)]
    assert event.problems == ("/bots/ping.yaml:3:1: stepz: unknown key",)


def test_a_paused_bot_says_so_and_an_unknown_one_is_suggested(
    door: Door, store: Callable[..., Stored], now: int
) -> None:
    store("name: release-digest")

    door.write_now(lambda: bots.pause("release-digest", now))
    (view,) = door.read_now(bot_views.listing)
    assert view.standing == "paused"

    door.write_now(lambda: bots.pause("release-digest", now, paused=False))
    with pytest.raises(BotNotFound, match="did you mean 'release-digest'"):
        door.read_now(bots.get, "release-digst")


def test_a_kept_version_is_not_live_and_is_kept_once(
    door: Door, store: Callable[..., Stored], registry: Registry, write: Callable[..., Written],
    now: int,
) -> None:  # fmt: skip
    live = store("priority: 1", origin="file", source="/bots/ping.yaml")
    other = write("priority: 9", origin="run", source="/tmp/ping.yaml")

    kept = [door.write_now(lambda: bots.keep(other, now)) for _ in range(2)]

    assert [each.number for each in kept] == [2, 2]
    assert get(door).active_version_id == live.version_id


def test_a_listing_tells_times_and_the_last_execution(
    door: Door, store: Callable[..., Stored], execution: Callable[..., str], now: int
) -> None:
    stored = store("description: Hello\ntriggers: [{every: 1h}, {every: 30m}]")
    store("name: other")
    older = door.write_now(
        lambda: execution(id="exe_" + "0" * 26, bot_id=stored.bot_id, status="failed")
    )
    newer = door.write_now(lambda: execution(bot_id=stored.bot_id, status="running"))

    other, ping = [bot_views.as_dict(v) for v in door.read_now(bot_views.listing)]

    assert older < newer
    assert ping["description"] == "Hello"
    assert ping["next_at"] == "2026-01-05T12:30:00.000Z"
    assert ping["last_execution"] == {"id": newer, "status": "running", "finished_at": None}
    assert other["last_execution"] is None


def test_any_number_of_processes_store_a_definition_once(
    door: Door, registry: Registry, write: Callable[..., Written], now: int,
    at_once: Callable[..., list[Stored]],
) -> None:  # fmt: skip
    written = write("triggers: [{every: 1h}]", origin="file", source="/bots/ping.yaml")

    results = at_once(6, lambda: registry.store(written, now))

    assert len({each.version_id for each in results}) == 1
    counts = door.read_now(
        lambda: [kind.select().count() for kind in (BotRow, VersionRow, TriggerRow, ExecutionRow)]
    )
    assert counts == [1, 1, 1, 0]
