"""Batches write what rows written one by one would be, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex32.kernel.batches import Insert, Update
from codex32.kernel.database import Door
from codex32.kernel.models import BotRow, LogLineRow, StateRow, StepRow

_COLUMNS = ("execution_id", "step", "item", "status", "tries", "output", "effect", "finished_at")
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
_BIG = st.integers(-(2**63), 2**63 - 1)
_STEP = st.tuples(
    st.sampled_from(["e1", "e2", "e3"]),
    st.sampled_from(["a", "b"]),
    st.integers(-1, 2),
    _TEXT,
    st.integers(-(2**31), 2**31 - 1),
    st.none() | _TEXT,
    _TEXT,
    st.none() | _BIG,
)
# The database is made once for all examples; each begins by emptying the table.
_examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _steps() -> dict[tuple[str, str, int], tuple[Any, ...]]:
    query = StepRow.select(*(getattr(StepRow, name) for name in _COLUMNS)).tuples()
    return {row[:3]: row for row in query}


@_examples
@given(rows=st.lists(_STEP, max_size=12), more=st.lists(_STEP, max_size=6))
def test_a_row_whose_key_is_there_is_passed_over(door: Door, rows, more) -> None:
    insert = Insert(StepRow, _COLUMNS)
    wanted: dict[Any, Any] = {}
    for row in [*rows, *more]:
        wanted.setdefault(row[:3], row)

    def work() -> None:
        StepRow.delete().execute()
        insert.write(rows)
        insert.write(more)
        assert _steps() == wanted

    door.write_now(work)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 127, 300])
def test_any_number_of_rows_is_written_whole_and_in_order(door: Door, count: int) -> None:
    rows = [("exe", "s", n, 0, "info", f"line {n}") for n in range(count)]
    insert = Insert(LogLineRow, ("execution_id", "step", "item", "at", "level", "message"))

    def work() -> list[int]:
        insert.write(rows)
        query = LogLineRow.select(LogLineRow.item).order_by(LogLineRow.id)
        return [item for (item,) in query.tuples()]

    assert door.write_now(work) == list(range(count))


@_examples
@given(rows=st.lists(_STEP, max_size=12), more=st.lists(_STEP, max_size=6))
def test_a_replacing_row_takes_the_place_of_the_one_before(door: Door, rows, more) -> None:
    insert = Insert(StepRow, _COLUMNS, replace=True)

    def work() -> None:
        StepRow.delete().execute()
        insert.write(rows)
        insert.write(more)
        assert _steps() == {row[:3]: row for row in [*rows, *more]}

    door.write_now(work)


@_examples
@given(
    rows=st.lists(_STEP, min_size=1, max_size=12),
    changes=st.lists(
        st.tuples(_TEXT, st.none() | _BIG, st.sampled_from(["e1", "e2", "e4"]), _TEXT)
    ),
)
def test_an_update_changes_the_rows_its_keys_and_guard_match(door: Door, rows, changes) -> None:
    update = Update(
        StepRow, ("execution_id", "status"), ("output", "finished_at"), guard="step.tries >= 0"
    )
    changes = [*changes, ("new", 1, rows[0][0], rows[0][3])]

    def work() -> None:
        StepRow.delete().execute()
        Insert(StepRow, _COLUMNS, replace=True).write(rows)
        before, matched = _steps(), set()
        first = {change[2]: change for change in reversed(changes)}
        wanted = {}
        for key, row in before.items():
            change = first.get(row[0])
            if change and row[3] == change[3] and row[4] >= 0:
                matched.add(row[0])
                row = (*row[:5], change[0], row[6], change[1])
            wanted[key] = row
        assert update.write(changes) == matched
        assert _steps() == wanted

    door.write_now(work)


def test_truths_and_columns_left_out_are_written_alike(door: Door) -> None:
    columns = (
        "id",
        "workspace",
        "name",
        "origin",
        "enabled",
        "paused",
        "created_at",
        "updated_at",
    )
    rows = [
        ("b1", "w", "one", "file", True, False, 1, 2),
        ("b2", "w", "two", "api", False, True, 3, 4),
    ]
    door.write_now(lambda: Insert(BotRow, columns).write(rows))
    found = door.read_now(lambda: list(BotRow.select().order_by(BotRow.id)))
    assert [(row.enabled, row.paused, row.problems) for row in found] == [
        (True, False, None),
        (False, True, None),
    ]
    assert door.read_now(lambda: BotRow.select().where(BotRow.enabled).count()) == 1


def test_rows_that_are_alike_are_as_many_all_the_same(door: Door) -> None:
    insert = Insert(LogLineRow, ("execution_id", "step", "item", "at", "level", "message"))
    door.write_now(lambda: insert.write([("e", "s", -1, 0, "info", "again")] * 3))
    assert door.read_now(lambda: LogLineRow.select().count()) == 3


def test_what_all_rows_share_travels_once() -> None:
    insert = Insert(StepRow, ("execution_id", "step", "item", "status", "output"))
    _, sent = insert.on_postgresql([(f"e{i}", "s", -1, "running", None) for i in range(50)])
    assert sent == ["s", "-1", "running", None, "{" + ",".join(f'"e{i}"' for i in range(50)) + "}"]


def test_numbers_are_given_to_rows_in_their_order(door: Door) -> None:
    insert = Insert(LogLineRow, ("execution_id", "step", "item", "at", "level", "message"))
    rows = [("e", "s", -1, 0, "info", f"line {i}") for i in range(600)]
    door.write_now(lambda: insert.write(rows))
    found = door.read_now(lambda: [r.message for r in LogLineRow.select().order_by(LogLineRow.id)])
    assert found == [f"line {i}" for i in range(600)]


@pytest.mark.parametrize("values", [("new", None), (None, None), ("new", "newer")])
def test_a_column_that_is_kept_stays_where_there_is_no_value(door: Door, values) -> None:
    update = Update(StepRow, ("execution_id",), ("output", "finished_at"), kept=("output",))
    rows = [(f"e{n}", "a", -1, "", 0, f"old {n}", "", 1) for n in range(len(values))]

    def work() -> list[tuple[Any, ...]]:
        Insert(StepRow, _COLUMNS).write(rows)
        update.write([(value, None, f"e{n}") for n, value in enumerate(values)])
        query = StepRow.select(StepRow.output, StepRow.finished_at)
        return list(query.order_by(StepRow.execution_id).tuples())

    assert door.write_now(work) == [(value or f"old {n}", None) for n, value in enumerate(values)]


def test_no_rows_are_no_statement(door: Door) -> None:
    door.write_now(lambda: Insert(StepRow, _COLUMNS).write([]))
    keys = ("execution_id",)
    assert door.write_now(lambda: Update(StepRow, keys, ("status",)).write([])) == set()


@pytest.mark.parametrize("text", ["lone \ud800 surrogate", "zero \0 character"])
async def test_a_text_no_column_can_hold_is_refused_and_spoils_no_other(door, text: str) -> None:
    insert = Insert(LogLineRow, ("execution_id", "step", "item", "at", "level", "message"))

    def write(messages):
        insert.write([("e", "", -1, 0, "info", message) for message in messages])
        return messages

    import asyncio

    good, bad, other = await asyncio.gather(
        *(door.write_many(write, message) for message in ("a", text, "b")), return_exceptions=True
    )
    held = await door.read(lambda: [row.message for row in LogLineRow.select()])
    if isinstance(bad, Exception):
        assert isinstance(bad, ValueError)  # UnicodeEncodeError is one
        assert sorted(held) == ["a", "b"]
    else:
        assert sorted(held) == sorted(["a", text, "b"])  # SQLite holds a zero character as it is
    assert (good, other) == ("a", "b")


HOSTILE = [
    "",
    "NULL",
    "null",
    '"',
    "\\",
    '\\"',
    "{a,b}",
    "a,b",
    "%s %d %",
    "'; --",
    "\n\t",
    "ü€😀",
    " ",
]


def test_any_text_comes_back_as_it_was(door: Door) -> None:
    insert = Insert(StateRow, ("bot_id", "key", "value", "updated_at"), replace=True)
    rows = [("bot", f"{n}{text}", text, n) for n, text in enumerate(HOSTILE)]
    door.write_now(lambda: insert.write(rows))
    found = door.read_now(lambda: list(StateRow.select().order_by(StateRow.updated_at).tuples()))
    assert found == rows
