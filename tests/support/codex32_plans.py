"""What statements cost, by what the database says of how it carries them out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from codex32.kernel.models import database_proxy


def spoken(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> list[tuple[str, Any]]:
    """The statements that ``work`` said, with their parameters."""
    said: list[tuple[str, Any]] = []
    execute = database_proxy.obj.execute_sql

    def listen(sql: str, params: Any = None, *rest: Any) -> Any:
        said.append((sql, params))
        return execute(sql, params, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(database_proxy.obj, "execute_sql", listen)
        work()
    return said


def rows_read(sql: str, params: Any) -> int:
    """The most rows that a part of the statement's plan gave or threw away; PostgreSQL counts."""
    plan = database_proxy.execute_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}", params).fetchall()
    text = "\n".join(line for (line,) in plan)
    counts = re.findall(r"actual rows=([\d.]+) loops=(\d+)", text)
    removed = re.findall(r"Rows Removed by [\w ]+: (\d+)", text)
    return int(max([float(n) * int(k) for n, k in counts] + [float(n) for n in removed]))
