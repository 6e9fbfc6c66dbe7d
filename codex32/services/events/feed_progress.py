"""What a stream tells of one execution, and how far a listener has been told.

A position names what was told in numbers that stand in the rows themselves: the last log line, how
many changes of the status, how many finished steps and when the last of them ended. So any process
can go on where another stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from codex32.kernel.json_values import dumps
from codex32.kernel.models import LogLineRow
from codex32.kernel.statuses import FINAL
from codex32.services.events.feed_mailbox import Told
from codex32.services.events.feed_standing import Change, Standing, Step
from codex32.services.executions.telling import line_as_dict

_POSITION = re.compile(r"(\d{1,18})\.(\d{1,9})\.(\d{1,9})\.(\d{1,18})")


@dataclass(slots=True)
class Position:
    """How far somebody has been told.

    Attributes:
      line: The last log line.
      changes: Changes of the status.
      count: Finished steps, in their order.
      ended_at: When the last of these ended.
    """

    line: int = 0
    changes: int = 0
    count: int = 0
    ended_at: int = 0
    _finished: set[tuple[str, int]] = field(default_factory=set)
    _open: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """The position that :attr:`text` gave; None where it is none."""
        match = _POSITION.fullmatch(text)
        if match is None:
            return None
        line, changes, count, ended_at = map(int, match.groups())
        return cls(line, changes, count, ended_at)

    @property
    def text(self) -> str:
        """As a client keeps it."""
        return f"{self.line}.{self.changes}.{self.count}.{self.ended_at}"

    def fits(self, standing: Standing) -> bool:
        """Take up which steps were told; False where the rows do not tell it any more."""
        told = standing.finished[: self.count]
        latest = (told[-1].finished_at or 0) if told else 0
        if len(told) != self.count or latest != self.ended_at:
            return False
        self._finished = {(step.step, step.item) for step in told}
        return True

    def advance(
        self, standing: Standing, lines: Sequence[LogLineRow], *, last: bool = True
    ) -> Iterator[Told]:
        """What is to be told, oldest first; the position moves on with it.

        Args:
          standing: The execution as it was when all ``lines`` could be read.
          lines: Its log lines after this position, in order.
          last: There are no more lines; else only what is older than the last of them is told.
        """
        until = None if last or not lines else lines[-1].at
        others = iter(self._due(standing, until))
        other = next(others, None)
        for line in lines:
            while other is not None and other[0] <= line.at:
                yield self._other(standing, other[1])
                other = next(others, None)
            self.line = line.id
            yield Told("log", dumps(line_as_dict(line)), self.text)
        while other is not None:
            yield self._other(standing, other[1])
            other = next(others, None)
        if last:
            yield from self._unfinished(standing)
            if standing.over and self.changes < standing.changes[-1].number:
                yield self._other(standing, standing.changes[-1])

    def _due(self, standing: Standing, until: int | None) -> list[tuple[int, Change | Step]]:
        """What changed and may be told now, but for the last change of all."""
        due: list[tuple[int, Change | Step]] = []
        latest = 0
        for change in standing.changes:
            # They keep their order among themselves, whatever the clocks of the workers said.
            latest = max(latest, change.at)
            if change.number > self.changes and change.status not in FINAL:
                due.append((latest, change))
        due += [
            (step.finished_at or 0, step)
            for step in standing.finished
            if (step.step, step.item) not in self._finished
        ]
        due.sort(key=lambda each: each[0])
        return [each for each in due if until is None or each[0] <= until]

    def _other(self, standing: Standing, each: Change | Step) -> Told:
        if isinstance(each, Change):
            self.changes = max(self.changes, each.number)
            return Told("status", standing.change_as_json(each), self.text)
        self._finished.add((each.step, each.item))
        self._open.pop((each.step, each.item), None)
        self.count += 1
        self.ended_at = max(self.ended_at, each.finished_at or 0)
        return Told("step", each.as_json(), self.text)

    def _unfinished(self, standing: Standing) -> Iterator[Told]:
        """Steps that go on: told as they stand, and again to whoever comes back."""
        for step in standing.unfinished:
            place, state = (step.step, step.item), (step.status, step.tries)
            if self._open.get(place) != state:
                self._open[place] = state
                yield Told("step", step.as_json())
