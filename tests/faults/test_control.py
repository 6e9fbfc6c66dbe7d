"""The control: what a naive house loses and doubles under the same blows is found by the books."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
import redis as redis_client
from codex32_houses import until
from codex32_violence.accounting import Books, Rows, effects, endings
from codex32_violence.naive import NaiveHouse
from codex32_violence.world import world

from codex32.outside.redis_server import BundledRedis

pytestmark = pytest.mark.fault
SEED = 5


def test_stock_dramatiq_with_a_row_before_and_after_is_caught(
    tmp_path: Path, redis: BundledRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(SEED)
    with world() as outside:
        house = NaiveHouse(tmp_path, redis.url, outside.url)
        Rows(f"sqlite:///{tmp_path / 'naive.db'}").note_endings()
        try:
            for _ in range(2):
                house.hire()
            _suffer(house, redis, source)
            # As long as anything moves, it may still come to its end.
            left, moved_at = house.live(), time.monotonic()
            while left and time.monotonic() - moved_at < 10:
                time.sleep(0.2)
                if (now := house.live()) != left:
                    left, moved_at = now, time.monotonic()
            books = _account(house, outside.effects())
        finally:
            house.close()
    lost = sum("stands at" in fault for fault in books.faults)
    doubled = sum("was sent" in fault or "is final" in fault for fault in books.faults)
    with capsys.disabled():
        print(f"\nstock Dramatiq: of {len(house.acknowledged)} lost {lost}, doubled {doubled}")
    assert lost > 0
    assert doubled > 0


def _suffer(house: NaiveHouse, redis: BundledRedis, source: random.Random) -> None:
    for _ in range(6):
        _submit(house, 25)
        time.sleep(0.5)
        source.choice(house.workers[-2:]).kill()
        house.hire()
    time.sleep(6)  # Dramatiq finds what the dead had taken, and delivers it again
    for _ in range(2):
        _submit(house, 50)
        with redis_client.Redis.from_url(redis.url) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        until(redis.alive, "Redis is there again")


def _submit(house: NaiveHouse, count: int) -> None:
    for _ in range(count):
        try:
            house.submit()
        except Exception:
            time.sleep(0.1)  # not acknowledged: nothing was promised


def _account(house: NaiveHouse, reached: dict) -> Books:  # type: ignore[type-arg]
    books = Books()
    statuses = dict(house.rows.execute("SELECT id, status FROM execution"))
    wanted = set(house.acknowledged)
    statuses = {each: status for each, status in statuses.items() if each in wanted}
    endings(books, wanted, statuses, list(house.rows.execute("SELECT * FROM ending")))
    recorded = {f"{e}/send": s for e, s in house.rows.execute("SELECT * FROM step")}
    effects(books, reached, lambda key: "once", recorded)
    return books
