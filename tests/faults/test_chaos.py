"""A short ordeal in every run of the suite; ``make chaos`` makes long ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from codex32_violence.chaos import Ordeal, suffer, table

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_under_random_blows_nothing_is_lost_and_nothing_doubled(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with capsys.disabled():
        print(f"\nchaos on {database}, seed {seed}")
    books, done = suffer(Ordeal(database, seed, seconds=30), tmp_path, lambda text: None)
    if books.faults:
        pytest.fail(f"seed {seed}\n{table(books, done)}")
    assert books.counts["acknowledged"] > 1000
