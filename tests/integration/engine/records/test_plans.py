"""However many wait or run, claiming and recording a batch reads about as many rows as it holds.

Also where the statistics are of a time when nothing waited: there PostgreSQL believes that all
that waits is little, and would rather sort it than walk along an index.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from codex32_plans import rows_read, spoken

from codex32.engine.records import claims, record
from codex32.engine.records.advance import Advance, Claim, End
from codex32.kernel.database import Door
from codex32.kernel.models import database_proxy
from codex32.services.executions import executions
from codex32.services.executions.executions import NewExecution

#: A table that is smaller is read as a whole, and rightly so.
MANY, BATCH = 8_000, 40

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def crowded(open_door) -> Door:
    """Eight thousand queued since the statistics were gathered."""
    door: Door = open_door()
    door.write_now(lambda: database_proxy.execute_sql("ANALYZE"))
    made = [
        NewExecution(
            id=f"exe_{n:026}",
            bot_id=f"bot_{n % 3}",
            bot_name="crowd",
            version_id="ver_1",
            version_number=1,
            inputs="{}",
            trigger="{}",
            trigger_kind="manual",
            created_at=1,
        )
        for n in range(MANY)
    ]
    for start in range(0, MANY, 500):
        door.write_now(lambda part=made[start : start + 500]: executions.submit(part))
    return door


def cost(door: Door, monkeypatch: pytest.MonkeyPatch, work) -> int:
    """The most rows that a statement of ``work`` reads; it is undone."""

    class Undone(Exception):
        """Nothing stays."""

    most: list[int] = []

    def look() -> None:
        said = spoken(monkeypatch, work)
        changes = [(s, p) for s, p in said if s.startswith(("UPDATE", "SELECT"))]
        assert changes
        raise Undone(most.extend(rows_read(sql, params) for sql, params in changes))

    with pytest.raises(Undone):
        door.write_now(look)
    return max(most)


def take(count: int) -> Sequence[Claim]:
    return claims.take("prc_1", count, 10, 10_000_000)


def test_a_claim_reads_what_it_takes_and_not_the_queue(
    crowded: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cost(crowded, monkeypatch, lambda: take(BATCH)) <= 2 * BATCH
    assert cost(crowded, monkeypatch, lambda: claims.wake(10)) <= 2 * BATCH


def test_a_record_reads_what_it_changes_and_not_all_that_runs(
    crowded: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = crowded.write_now(lambda: take(MANY))
    assert len(held) == MANY
    ended = [Advance(each, end=End("succeeded", 20, "succeeded")) for each in held[:BATCH]]
    going_on = [Advance(each) for each in held[BATCH : 2 * BATCH]]
    for items in (ended, going_on):
        read = cost(crowded, monkeypatch, lambda items=items: record.advance(items))
        assert read <= 3 * BATCH
