"""The streams of single executions: who follows which, and how far each has been told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codex32.kernel.database import Door
from codex32.kernel.json_values import dumps
from codex32.kernel.models import LogLineRow
from codex32.services.events.feed_mailbox import Mailbox, Telling, Told
from codex32.services.events.feed_progress import Position
from codex32.services.events.feed_standing import Standing, lines_after, lines_of

#: Log lines that are read at once.
PAGE = 1000


@dataclass(slots=True)
class _Watch:
    """An execution that somebody follows.

    Attributes:
      standing: As it was passed on last.
      position: How far those are told who are up to date: those with a mailbox here.
      looked: Set once there is a standing, or the execution is found to be gone.
    """

    standing: Standing | None = None
    position: Position = field(default_factory=Position)
    mailboxes: list[Mailbox] = field(default_factory=list)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False
    streams: int = 0

    def tell(self, standing: Standing, lines: Sequence[LogLineRow], *, last: bool) -> None:
        """Tell those who are up to date."""
        if not self.mailboxes:
            return
        told = list(self.position.advance(standing, lines, last=last))
        characters = sum(each.size for each in told)
        for mailbox in self.mailboxes:
            mailbox.put(told, characters)
        # Who has too much comes back by another way.
        self.mailboxes = [each for each in self.mailboxes if not each.full]

    def end(self) -> None:
        """Nothing more will come."""
        for mailbox in self.mailboxes:
            mailbox.end()


class ExecutionFeeds:
    """The executions that streams of this process follow."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._watches: dict[str, _Watch] = {}
        #: Up to which log line everything was passed on; None while nobody looks.
        self._line: int | None = None

    def followed(self) -> list[str]:
        """Executions that may have something new."""
        return [
            execution_id
            for execution_id, watch in self._watches.items()
            if not watch.gone and (watch.standing is None or not watch.standing.over)
        ]

    def end(self) -> None:
        """End all streams."""
        for watch in self._watches.values():
            watch.gone = True
            watch.looked.set()
            watch.end()

    def rest(self) -> None:
        """Nobody looks any more."""
        self._line = None

    async def join(self, execution_id: str, after: str, mailbox: Mailbox) -> Telling:
        """What was before, and then what comes, until the execution has ended."""
        watch = self._watches.setdefault(execution_id, _Watch())
        watch.streams += 1
        try:
            await watch.looked.wait()
            position = Position.parse(after) if after else Position()
            if watch.standing is not None and not (position and position.fits(watch.standing)):
                yield [_gap(after)]
                position = Position(line=0 if position is None else position.line)
            while not watch.gone:
                standing, until = watch.standing, self._line
                assert position and standing and until is not None  # noqa: PT018
                lines = await self._door.read(
                    lines_after, execution_id, position.line, until, PAGE
                )
                last = len(lines) < PAGE
                yield list(position.advance(standing, lines, last=last))
                if last and standing.over:
                    return
                if last and watch.standing is standing and self._line == until:
                    # Nothing came between: from here on it is told with all others.
                    if not watch.mailboxes:
                        watch.position = position
                    watch.mailboxes.append(mailbox)
                    mailbox.joined = True
                    break
            if watch.gone:
                return
            async for several in mailbox.all():
                yield several
        finally:
            watch.streams -= 1
            watch.mailboxes = [each for each in watch.mailboxes if each is not mailbox]
            if not watch.streams:
                self._watches.pop(execution_id, None)

    async def pass_on(
        self, asked: Sequence[str], standings: Mapping[str, Standing], until: int
    ) -> None:
        """Tell what is new of executions as they stood when lines up to ``until`` were there."""
        if self._line is None:
            self._line = until  # nobody is up to date yet
        until = max(until, self._line)  # the newest lines may have been let go meanwhile
        last = False
        while not last:
            lines = await self._door.read(lines_of, list(standings), self._line, until, PAGE)
            last = len(lines) < PAGE
            self._line = until if last else lines[-1].id
            self._tell(asked, standings, lines, last=last)

    def _tell(
        self,
        asked: Sequence[str],
        standings: Mapping[str, Standing],
        lines: Sequence[LogLineRow],
        *,
        last: bool,
    ) -> None:
        mine: dict[str, list[LogLineRow]] = {}
        for line in lines:
            mine.setdefault(line.execution_id, []).append(line)
        for execution_id in asked:
            watch = self._watches.get(execution_id)
            if watch is None:
                continue
            known = standings.get(execution_id)
            if known is None:
                watch.gone = True
                watch.looked.set()
                watch.end()
            elif not last:
                # Whoever joins now takes the former standing for the last that was told.
                if watch.standing is not None:
                    watch.tell(watch.standing, mine.get(execution_id, ()), last=False)
            else:
                watch.tell(known, mine.get(execution_id, ()), last=True)
                watch.standing = known
                watch.looked.set()
                if known.over:
                    watch.end()


def _gap(after: str) -> Told:
    why = f"nothing is known of the position {after[:64]}; what was told before comes again"
    return Told("gap", dumps({"message": why}))
