"""Log lines of a step that is still running: written as they come, before its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codex32.engine.records.advance import LogLine
from codex32.engine.records.record import LOGS


@dataclass(slots=True)
class Lines:
    """Log lines of an execution that is still in a step."""

    execution_id: str
    lines: Sequence[LogLine]


def write_lines(items: Sequence[Lines]) -> list[None]:
    """Write log lines as they come; no claim is asked for, a line is no decision."""
    LOGS.write([(item.execution_id, *line) for item in items for line in item.lines])
    return [None] * len(items)
