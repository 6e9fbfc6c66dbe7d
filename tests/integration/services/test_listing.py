import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.errors import ExecutionNotFound
from codex32.kernel.ids import first_id, new_id
from codex32.kernel.models import BotRow, ExecutionRow, database_proxy
from codex32.kernel.statuses import Status
from codex32.services.executions import executions
from codex32.services.executions.listing import Query, listing

DAY = 86400 * 1_000_000


@pytest.fixture
def made(door: Door, execution: Callable[..., str], now: int) -> dict[str, str]:
    """Executions of two bots over some days, by a word for each."""

    def write() -> dict[str, str]:
        for name in ("ping", "pong"):
            BotRow.insert(
                id=f"bot_{name}", workspace="default", name=name, origin="api",
                created_at=now, updated_at=now,
            ).execute()  # fmt: skip
        found = {}
        for word, days, values in (
            ("old", 3, {"bot_id": "bot_ping", "status": "succeeded", "trigger_kind": "cron"}),
            ("broken", 2, {"bot_id": "bot_ping", "status": "failed", "cause": "step"}),
            ("other", 1, {"bot_id": "bot_pong", "status": "succeeded"}),
            ("new", 0, {"bot_id": "bot_ping", "status": "queued"}),
        ):
            at = now - days * DAY
            identity = new_id("exe", now=lambda at=at: at / 1e6)  # type: ignore[misc]
            found[word] = execution(id=identity, created_at=at, **values)
        return found

    return door.write_now(write)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "new other broken old"),
        ({"bot": "ping"}, "new broken old"),
        ({"bot": "nobody"}, ""),
        ({"status": ["failed", "succeeded"]}, "other broken old"),
        ({"cause": "step"}, "broken"),
        ({"trigger_kind": "cron"}, "old"),
        ({"trigger_kind": "file"}, ""),
        ({"since": 2}, "new other broken"),
        ({"until": 1}, "broken old"),
        ({"since": 2, "until": 1}, "broken"),
        ({"since": 2, "bot": "ping"}, "new broken"),
        ({"limit": 2}, "new other"),
    ],
)
def test_what_is_asked_for_is_listed_newest_first(
    door: Door, made: dict[str, str], now: int, asked: dict[str, Any], words: str
) -> None:
    days = {key: now - value * DAY for key, value in asked.items() if key in ("since", "until")}

    rows = door.read_now(listing, Query(**{**asked, **days}))

    assert [row.id for row in rows] == [made[word] for word in words.split()]


def test_a_page_goes_on_where_the_one_before_ended(door: Door, made: dict[str, str]) -> None:
    rows = door.read_now(listing, Query(beyond=made["other"]))

    assert [row.id for row in rows] == [made["broken"], made["old"]]


def test_an_id_that_is_cut_short_is_found_if_it_is_the_only_one(
    door: Door, made: dict[str, str]
) -> None:
    whole = made["broken"]

    assert door.read_now(executions.find, whole[:24]).id == whole
    assert door.read_now(executions.find, whole).id == whole
    for prefix in ("exe_", whole[:20] + "zzzz", "%", ""):
        with pytest.raises(ExecutionNotFound):
            door.read_now(executions.find, prefix)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "asked",
    [
        {"bot": "ping"},
        {"status": ["failed"]},
        {"status": ["failed", "cancelled"]},
        {"cause": "step"},
        {"trigger_kind": "cron"},
        {"bot": "ping", "status": ["failed"]},
        {"bot": "ping", "status": ["running", "skipped"]},
        {"bot": "ping", "cause": "step"},
        {"bot": "ping", "trigger_kind": "cron", "since": 1},
        {"since": 1},
        {"until": 1, "status": ["succeeded"]},
        {"beyond": "exe_1"},
        {"oldest_first": True, "trigger_kind": "cron", "beyond": "exe_1"},
    ],
)
def test_no_list_reads_the_history(
    door: Door, made: dict[str, str], monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    said: list[tuple[str, Any]] = []

    def look() -> list[Any]:
        execute = database_proxy.obj.execute_sql
        monkeypatch.setattr(
            database_proxy.obj,
            "execute_sql",
            lambda sql, *rest, **more: (said.append((sql, rest)), execute(sql, *rest, **more))[1],
        )
        listing(Query(**asked))
        monkeypatch.undo()
        return [
            step[3]
            for sql, rest in said
            for step in execute(f"EXPLAIN QUERY PLAN {sql}", *rest).fetchall()
        ]

    assert door.read_now(is_sqlite)
    plan = door.read_now(look)
    assert plan
    assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan


_KEYS = ("bot", "status", "cause", "trigger_kind")
_ASKED: tuple[dict[str, Any], ...] = tuple(
    {
        key: value
        for key, value in zip(("bot", "status", "cause", "trigger_kind"), each, strict=True)
        if value
    }
    for each in product(
        ("ping", None),
        (
            ["failed"],
            ["failed", "cancelled"],
            ["succeeded", "failed"],
            ["running", "skipped"],
            None,
        ),
        ("step", None),
        ("cron", None),
    )
)


@pytest.mark.parametrize("oldest_first", [False, True])
def test_whatever_is_asked_pages_hold_what_fits_and_nothing_else(
    door: Door, execution: Callable[..., str], now: int, oldest_first: bool
) -> None:
    chance = random.Random(32)

    def write() -> None:
        for name in ("ping", "pong"):
            BotRow.insert(
                id=f"bot_{name}", workspace="default", name=name, origin="api",
                created_at=now, updated_at=now,
            ).execute()  # fmt: skip
        for number in range(80):
            at = now - number * DAY // 8
            status = chance.choice(list(Status))
            execution(
                id=new_id("exe", now=lambda at=at: at / 1e6),  # type: ignore[misc]
                created_at=at,
                bot_id=chance.choice(["bot_ping", "bot_pong"]),
                status=status.value,
                cause=chance.choice(["step", "timeout"]) if status is Status.FAILED else None,
                trigger_kind=chance.choice(["cron", "manual"]),
                workspace=chance.choice(["default", "default", "other"]),
            )

    door.write_now(write)
    rows = door.read_now(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))
    rows = [row for row in rows[:: 1 if oldest_first else -1] if row.workspace == "default"]
    week, day = now - 7 * DAY, now - DAY
    for days, asked in product(({}, {"since": week}, {"since": week, "until": day}), _ASKED):
        wanted = [row.id for row in rows if _fits(row, days, asked)]
        found: list[str] = []
        query = Query(**days, **asked, limit=3, oldest_first=oldest_first)
        while page := door.read_now(listing, query):
            found += [row.id for row in page]
            query = replace(query, beyond=found[-1])
        assert found == wanted, asked


def _fits(row: ExecutionRow, days: dict[str, int], asked: dict[str, Any]) -> bool:
    return (
        days.get("since", 0) <= row.created_at < days.get("until", row.created_at + 1)
        and row.bot_id == f"bot_{asked.get('bot', row.bot_id[4:])}"
        and row.status in asked.get("status", [row.status])
        and row.cause == asked.get("cause", row.cause)
        and row.trigger_kind == asked.get("trigger_kind", row.trigger_kind)
    )


def test_ids_of_a_time_begin_with_the_first(now: int) -> None:
    earlier = new_id("exe", now=lambda: (now - 1_000) / 1e6)
    later = new_id("exe", now=lambda: now / 1e6)

    assert earlier < first_id("exe", now) <= later
