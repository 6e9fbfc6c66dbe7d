"""What commands print: tables and colours on a terminal, plain aligned text in a pipe, or JSON.

Results go to standard output, everything said beside them to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

#: Colours of words that say how something stands; all other cells are left alone.
STYLES: Mapping[str, str] = {
    "succeeded": "green",
    "approved": "green",
    "loaded": "green",
    "ok": "green",
    "live": "green",
    "fired": "green",
    "yes": "green",
    "running": "cyan",
    "queued": "cyan",
    "waiting": "yellow",
    "paused": "yellow",
    "warn": "yellow",
    "unknown": "yellow",
    "blocked": "yellow",
    "pending": "yellow",
    "failed": "red",
    "rejected": "red",
    "fail": "red",
    "broken": "red",
    "no": "red",
    "skipped": "dim",
    "cancelled": "dim",
    "expired": "dim",
    "disabled": "dim",
    "removed": "dim",
}
#: Signs of statuses, for lines about executions and steps.
MARKS: Mapping[str, str] = {
    "succeeded": "✓",
    "failed": "✗",
    "skipped": "⊘",
    "cancelled": "⊘",
    "running": "●",
    "waiting": "◌",
    "queued": "○",
    "unknown": "?",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Text from outside, harmless to a terminal: control characters become visible."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class Output:
    """Where a command's results go.

    Args:
      as_json: One JSON document (or JSON lines) instead of text for people.
      stdout: Instead of the process's own, which is asked for anew each time.
      stderr: Likewise.
    """

    def __init__(
        self, as_json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._stdout, self._stderr = stdout, stderr

    @property
    def stdout(self) -> TextIO:
        """Where results go."""
        return self._stdout or sys.stdout

    @property
    def stderr(self) -> TextIO:
        """Where everything else goes."""
        return self._stderr or sys.stderr

    @cached_property
    def live(self) -> bool:
        """Whether a person looks on, so that lines may be coloured and redrawn."""
        return self.stdout.isatty() and os.environ.get("TERM") != "dumb" and not self.as_json

    @cached_property
    def console(self) -> Console:
        """The terminal; it knows NO_COLOR by itself."""
        from rich.console import Console

        return Console(file=self.stdout, highlight=False, soft_wrap=True, emoji=False)

    def result(self, data: Any, show: Callable[[], None]) -> None:
        """The command's result: ``data`` as one JSON document, or ``show()`` for people."""
        if self.as_json:
            self.document(data)
        else:
            show()

    def document(self, data: Any) -> None:
        """One JSON document; indented where a person looks on."""
        indent = 2 if self.stdout.isatty() else None
        print(json.dumps(data, indent=indent, ensure_ascii=False), file=self.stdout, flush=True)

    def line(self, text: str = "", style: str | None = None) -> None:
        """A line of the result. Text from outside is made harmless."""
        text = clean(text)
        if style and self.live:
            from rich.text import Text

            self.console.print(Text(text, style=style))
        else:
            print(text, file=self.stdout, flush=True)

    def note(self, text: str) -> None:
        """A line beside the result: progress, advice. Left out with ``--json``."""
        if not self.as_json:
            print(clean(text), file=self.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar while the block works through ``total`` things, for whoever looks on.

        The block calls what it is given with how many more are done.
        """
        if not (self.live and total > 1):
            yield lambda more: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Remaining(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)

    @contextlib.contextmanager
    def stages(self) -> Iterator[Callable[[str, int, int], None]]:
        """A bar a stage of long work, for whoever looks on.

        The block calls what it is given with the stage, how much of it is done, and of how much.
        """
        if not self.live:
            yield lambda stage, done, total: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            tasks: dict[str, Any] = {}

            def told(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total)
                bar.update(tasks[stage], completed=done, total=total)

            yield told

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
        """Rows under titles, or the sentence ``empty`` where there are none."""
        cells = [[clean(_cell(value)).replace("\n", " ") for value in row] for row in rows]
        if not cells:
            self.note(empty)
        elif self.live:
            self._rich_table(titles, cells)
        else:
            self._plain_table([[title.upper() for title in titles], *cells])

    def facts(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Names and values, aligned; pairs without a value are left out."""
        shown = [(name, _cell(value)) for name, value in pairs if value not in (None, "")]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            lines = value.split("\n")
            self.line(f"{name:<{width}}  {lines[0]}", STYLES.get(value))
            for line in lines[1:]:
                self.line(f"{'':<{width}}  {line}")

    def _plain_table(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line("  ".join(padded).rstrip())

    def _rich_table(self, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for title in titles:
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
        # Soft wrapping is for lines; a table must know how wide the terminal is.
        self.console.print(table, soft_wrap=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
