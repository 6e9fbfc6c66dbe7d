"""What an export tells of, page by page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.models import EventRow, LogLineRow
from codex32.services.exporting import documents
from codex32.services.exporting.documents import Mark

SECOND = 1_000_000


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PAGE", 2)


def ended(execution: Callable[..., str], at: int, lines: int = 0) -> str:
    id = execution(status="succeeded", started_at=at - SECOND, finished_at=at)
    for number in range(lines):
        LogLineRow.create(execution_id=id, at=at, level="info", message=f"line {number}")
    return id


def event(at: int) -> str:
    row = EventRow.create(
        id=new_id("evt"), workspace="default", name="custom.it", at=at, data="{}", chain="[]"
    )
    return str(row.id)


async def test_an_export_of_a_busy_house_ends_and_the_next_tells_what_came_meanwhile(
    door: Door, now: int, execution: Callable[..., str]
) -> None:
    before = await door.write(lambda: [ended(execution, now - n) for n in range(4)])
    before.append(await door.write(lambda: event(now)))
    meanwhile: list[str] = []
    told: list[str] = []
    mark = Mark()
    async for page, reached, _ in documents.pages(door, mark, 0, now):
        told += [each.id for each in page]
        mark = reached
        at = now + 1 + len(meanwhile)
        meanwhile.append(await door.write(lambda at=at: ended(execution, at)))
        meanwhile.append(await door.write(lambda at=at: event(at)))
        assert len(meanwhile) < 20, "it follows what goes on"
    assert sorted(told) == sorted(before)

    rest = documents.pages(door, mark, 0, now + SECOND)
    told = [each.id async for page, _, _ in rest for each in page]
    assert sorted(told) == sorted(meanwhile)


async def test_lines_of_executions_that_have_few_go_together_and_none_is_left_out(
    door: Door, now: int, execution: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "PAGE", 4)
    counts = (1, 0, 2, 9, 1)
    ids = await door.write(lambda: [ended(execution, now + n, c) for n, c in enumerate(counts)])
    pages = [page async for page, _, _ in documents.pages(door, Mark(), 0, now + SECOND)]
    lines = [[each.id.partition(":")[0] for each in p] for p in pages if p[0].kind == "logs"]
    assert [id for page in lines for id in page] == [
        id for id, count in zip(ids, counts, strict=True) for _ in range(count)
    ]
    assert [len(page) for page in lines] == [7, 4, 1, 1]


async def test_events_whose_time_lies_ahead_are_told_before_they_are_passed_over(
    door: Door, now: int
) -> None:
    ids = await door.write(lambda: [event(now + 3600 * SECOND), event(now)])
    told = [each.id async for page, _, _ in documents.pages(door, Mark(), 0, now) for each in page]
    assert told == ids


async def test_after_the_clock_was_put_back_what_ended_since_is_told(
    door: Door, now: int, execution: Callable[..., str]
) -> None:
    mark = Mark(ended=now + 3600 * SECOND, execution="exe_z").back()
    id = await door.write(lambda: ended(execution, now - 600 * SECOND))
    found = documents.pages(door, mark, 0, now)
    pages = [(page, reached) async for page, reached, _ in found]
    assert [each.id for page, _ in pages for each in page] == [id]
    assert pages[-1][1].ended == now - 600 * SECOND
