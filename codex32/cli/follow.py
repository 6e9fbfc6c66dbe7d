"""Showing an execution while it goes, from what is recorded of it, wherever it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from codex32.cli.output import MARKS, STYLES, Output, clean
from codex32.engine.records.rates import waiting_text
from codex32.kernel.clock import from_micros
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import NO_ITEM, ExecutionRow, LogLineRow, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import FINAL_STEP, Status, StepStatus
from codex32.kernel.text import format_duration
from codex32.services.executions import executions
from codex32.services.presentation import iso

if TYPE_CHECKING:
    from rich.live import Live

#: Colours of log lines by level.
LEVELS: Mapping[str, str] = {"info": "dim", "warning": "yellow", "error": "red", "debug": "dim"}
#: Statuses of a step that deserve a line in the live view.
_UNDER_WAY = frozenset({StepStatus.RUNNING, StepStatus.WAITING, StepStatus.UNKNOWN})
#: Of a traceback, below its step.
_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Look:
    """What stood in the rows at one moment."""

    row: ExecutionRow
    steps: Sequence[StepRow]
    lines: Sequence[LogLineRow]


@dataclass(slots=True)
class Follower:
    """Shows what is new at each look.

    Args:
      output: Where to.
      execution_id: What is followed.
      payloads: Where long values are.
    """

    output: Output
    execution_id: str
    payloads: PayloadStore
    _line: int = 0
    _ended: set[tuple[str, int]] = field(default_factory=set)
    _live: Live | None = None

    def look(self) -> Look:
        """Read the rows; a function for ``Door.read``."""
        row = executions.get(self.execution_id)
        steps = list(StepRow.select().where(StepRow.execution_id == self.execution_id))
        steps.sort(key=lambda each: (each.finished_at or each.started_at or 0, each.item))
        return Look(row, steps, executions.log_lines(self.execution_id, after=self._line))

    def show(self, look: Look) -> None:
        """Print what is new since the last look."""
        if self.output.as_json:
            return
        news: list[tuple[int, int, Any]] = [(line.at, 0, line) for line in look.lines]
        news += [(step.finished_at or 0, 1, step) for step in look.steps if self._is_news(step)]
        for _, _, each in sorted(news, key=lambda entry: entry[:2]):
            if isinstance(each, LogLineRow):
                self._line = max(self._line, each.id)
                self._print(f"    {line_text(each)}", LEVELS.get(each.level))
            else:
                self._print(step_text(each), STYLES.get(each.status))
                for told in traceback_lines(each):
                    self._print(told, "dim")
        if self.output.live:
            self._redraw(look)

    def _is_news(self, step: StepRow) -> bool:
        """Whether a step ended since the last look; of items only those that failed are told."""
        if step.status not in FINAL_STEP or (step.step, step.item) in self._ended:
            return False
        self._ended.add((step.step, step.item))
        return step.item == NO_ITEM or step.status == StepStatus.FAILED

    def close(self) -> None:
        """Take the moving part off the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, text: str, style: str | None) -> None:
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(clean(text), style=style or ""))
        else:
            self.output.line(text, style)

    def _redraw(self, look: Look) -> None:
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        if self._live is None:
            self._live = Live(console=self.output.console, transient=True, refresh_per_second=10)
            self._live.start()
        busy = [s for s in look.steps if s.item == NO_ITEM and s.status in _UNDER_WAY]
        grid = Table.grid(padding=(0, 1))
        for step in busy:
            told = clean(f"{step.step}  {self._progress(step, look.steps)}")
            grid.add_row(Spinner("dots", style="cyan"), Text(told, style="cyan"))
        if not busy and look.row.finished_at is None:
            told = _standing(look.row)
            grid.add_row(Spinner("dots", style="cyan"), Text(told, style="cyan"))
        self._live.update(grid)

    def _progress(self, step: StepRow, steps: Sequence[StepRow]) -> str:
        items = [each for each in steps if each.step == step.step and each.item != NO_ITEM]
        if not items:
            return "" if step.status == StepStatus.RUNNING else step.status
        done = sum(each.status in FINAL_STEP for each in items)
        total = "…"
        if step.input is not None:
            wanted = self.payloads.unpack(step.execution_id, step.input)
            total = str(len(wanted)) if isinstance(wanted, list) else total
        return f"{done} of {total}"


def _standing(row: ExecutionRow) -> str:
    if row.status == Status.WAITING:
        until = f" until {iso(row.ready_at)}" if row.ready_at else ""
        return f"waiting{until}" + (f": {row.message}" if row.message else "")
    if not row.admitted:
        return "waits for its turn: the bot's concurrency is at its limit"
    return str(row.status)


def line_text(line: LogLineRow) -> str:
    """A log line: the step, what it said, further fields."""
    item = "" if line.item == NO_ITEM else f"[{line.item}]"
    place = f"{line.step}{item}: " if line.step else ""
    fields = ""
    if line.fields:
        told = loads(line.fields)
        fields = "".join(f" {name}={_short(value)}" for name, value in told.items())
    level = "" if line.level == "info" else f"{line.level}: "
    return f"{place}{level}{line.message}{fields}"


def step_text(step: StepRow) -> str:
    """A finished step: mark, name, duration, error."""
    item = "" if step.item == NO_ITEM else f"[{step.item}]"
    told = [f"{MARKS.get(step.status, '?')} {step.step}{item}"]
    if step.status == StepStatus.SKIPPED:
        told.append("skipped")
    elif step.started_at is not None and step.finished_at is not None:
        told.append(format_duration((step.finished_at - step.started_at) / 1e6))
    if step.error:
        told.append(error_message(loads(step.error)))
    if step.status == StepStatus.WAITING and (slot := _slot(step)):
        told.append(waiting_text(slot["key"], slot["at"]))
    if step.tries > 1:
        told.append(f"({step.tries} tries)")
    if step.sandbox:
        told.append(f"in {step.sandbox}")
    return "  ".join(told)


def _slot(step: StepRow) -> JSON:
    """The slot of a rate limit that a step waits for."""
    note = step.note or ""
    return loads(note).get("rate") if note.startswith("{") else None


def error_message(error: JSON) -> str:
    """The message of a step's recorded error."""
    return str(error.get("message", "")) if isinstance(error, Mapping) else str(error)


def traceback_lines(step: StepRow) -> list[str]:
    """Where a program raised, in its author's own lines: the last of them."""
    match loads(step.error) if step.error else None:
        case {"detail": {"traceback": str(text)}}:
            return [f"    {line}" for line in text.splitlines()[-_LAST_LINES:]]
    return []


def ending_text(row: ExecutionRow) -> str:
    """How an execution ended, in one line."""
    took = ""
    if row.finished_at is not None:
        took = (
            f" in {format_duration((row.finished_at - (row.started_at or row.created_at)) / 1e6)}"
        )
    message = f": {row.message}" if row.message else ""
    return f"{MARKS.get(row.status, '?')} {row.bot_name} {row.status}{took}{message}"


def line_as_dict(line: LogLineRow) -> dict[str, Any]:
    """A log line as plain data for JSON."""
    return {
        "id": line.id,
        "at": iso(line.at),
        "level": line.level,
        "step": line.step,
        "item": None if line.item == NO_ITEM else line.item,
        "message": line.message,
        "fields": loads(line.fields) if line.fields else {},
    }


def clock_text(micros: int | None) -> str:
    """A stored time for people, in the machine's time zone."""
    return "" if micros is None else f"{from_micros(micros).astimezone():%Y-%m-%d %H:%M:%S}"


def _short(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
