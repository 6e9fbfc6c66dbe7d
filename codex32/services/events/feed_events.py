"""The streams of a workspace's events: who shows which, and up to where each is told."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.kernel.event_names import matches
from codex32.kernel.json_values import dumps
from codex32.services.events import feed_rows
from codex32.services.events.feed_mailbox import Mailbox, Telling, Told
from codex32.services.events.feed_rows import HEARD_MICROS, Feed, Happened, Kept, events_after

#: Events that are read at once.
PAGE = 500
#: What is kept for five minutes is renewed this often.
_RENEW_MICROS = 60_000_000
#: Greatest number a position may hold, as both databases store it.
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events of a workspace a stream shows.

    Attributes:
      pattern: Of their names.
      bot: Only events that tell of this bot; empty for all.
      statuses: Events of executions are told as changes of their status.
    """

    workspace: str
    pattern: str = "*"
    bot: str = ""
    statuses: bool = False

    def told(self, event: Happened) -> Told:
        """An event as the stream shows it."""
        if self.statuses:
            return Told("status", event.as_status(), str(event.seq))
        return Told("event", event.as_json(), str(event.seq))

    def fits(self, event: Happened) -> bool:
        """Whether the stream shows this event."""
        return (
            event.workspace == self.workspace
            and matches(event.name, self.pattern)
            and (not self.bot or event.bot == self.bot)
        )


@dataclass(slots=True)
class _Open:
    """A feed that streams of this process show."""

    kept: Kept
    listeners: list[tuple[Filter, Mailbox]] = field(default_factory=list)
    streams: int = 0


class EventFeeds:
    """The events that streams of this process show."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door, self._clock = door, clock
        self._open: dict[Feed, _Open] = {}
        #: Up to which event everything was passed on; None while nobody looks.
        self._event: int | None = None
        self._looked = asyncio.Event()
        self._renewed_at = 0

    def end(self) -> None:
        """End all streams."""
        self._looked.set()
        for opened in self._open.values():
            for _, mailbox in opened.listeners:
                mailbox.end()

    def rest(self) -> None:
        """Nobody looks any more."""
        self._event = None
        self._looked.clear()

    async def join(self, wanted: Filter, after: str, mailbox: Mailbox) -> Telling:
        """What was after a position, and then what comes."""
        feed = Feed(wanted.workspace, wanted.pattern)
        opened = await self._opened(feed)
        opened.streams += 1
        listener = (wanted, mailbox)
        try:
            await self._looked.wait()
            if self._event is None:
                return
            at, ready = self._event, False
            if after:
                known = int(after) if after.isascii() and after.isdigit() else -1
                if not await self._whole_after(opened, known):
                    yield [_gap(after)]
                if 0 <= known < at:
                    at = known
            while self._event is not None:
                until = self._event
                page = await self._door.read(events_after, [wanted.workspace], at, until, PAGE)
                yield [wanted.told(event) for event in page if wanted.fits(event)]
                full = len(page) == PAGE
                at = page[-1].seq if full else until
                if not full and not ready and opened.kept.whole_from is not None:
                    ready = True
                    yield [_ready(at)]
                if at == self._event and (ready or opened.kept.whole_from is None):
                    # Nothing came between: from here on it is told with all others.
                    opened.listeners.append(listener)
                    mailbox.joined = True
                    break
            async for several in mailbox.all():
                yield several
        finally:
            opened.streams -= 1
            opened.listeners = [each for each in opened.listeners if each is not listener]
            if not opened.streams:
                self._open.pop(feed, None)

    async def _opened(self, feed: Feed) -> _Open:
        if feed not in self._open:
            kept = await self._keep([feed])
            if feed not in self._open:  # another stream may have been quicker
                self._open[feed] = _Open(kept[feed])
        return self._open[feed]

    async def _keep(self, feeds: Collection[Feed]) -> dict[Feed, Kept]:
        return await self._door.write(lambda: feed_rows.keep(feeds, self._clock.micros()))

    async def _whole_after(self, opened: _Open, seq: int) -> bool:
        """Whether all that came after an event can still be told."""
        whole_from = opened.kept.whole_from
        if whole_from is None or seq < whole_from:
            return False
        return await self._door.read(feed_rows.reaches_back, seq)

    async def renew(self) -> None:
        """See to it that the events go on being written, once a minute."""
        now = self._clock.micros()
        if not self._open or now - self._renewed_at < _RENEW_MICROS:
            return
        for feed, kept in (await self._keep(list(self._open))).items():
            opened = self._open.get(feed)
            if opened is None:
                continue
            if opened.kept.opened_at != kept.opened_at:
                # This process stood still for so long that they lapsed meanwhile.
                _tell(opened.listeners, [_gap("")])
            opened.kept = kept
        self._renewed_at = now

    async def pass_on(self, until: int) -> None:
        """Tell what came, up to an event; all before it are there."""
        if self._event is None:
            self._event = until  # nobody is up to date yet
        until = max(until, self._event)
        while self._event < until:
            workspaces = sorted({feed.workspace for feed in self._open})
            page = await self._door.read(events_after, workspaces, self._event, until, PAGE)
            self._event = page[-1].seq if len(page) == PAGE else until
            self._pass_page(page)
        self._looked.set()
        await self._complete()

    def _pass_page(self, page: list[Happened]) -> None:
        for opened in self._open.values():
            told: dict[Filter, list[Told]] = {}
            for wanted, mailbox in opened.listeners:
                if wanted not in told:  # those who want the same share what they get
                    told[wanted] = [wanted.told(each) for each in page if wanted.fits(each)]
                _tell([(wanted, mailbox)], told[wanted])
            # Who has too much comes back by another way.
            opened.listeners = [each for each in opened.listeners if not each[1].full]

    async def _complete(self) -> None:
        """Tell listeners from where on nothing is missing, once every process has heard."""
        heard = self._clock.micros() - HEARD_MICROS
        ripe = {
            feed: opened
            for feed, opened in self._open.items()
            if opened.kept.whole_from is None and opened.kept.opened_at <= heard
        }
        if not ripe or self._event is None:
            return
        seq = self._event
        await self._door.write(lambda: feed_rows.complete(ripe, seq))
        for opened in ripe.values():
            opened.kept = Kept(opened.kept.opened_at, seq)
            _tell(opened.listeners, [_ready(seq)])


def _tell(listeners: Collection[tuple[Filter, Mailbox]], told: list[Told]) -> None:
    for _, mailbox in listeners:
        mailbox.put(told, sum(each.size for each in told))


def _ready(seq: int) -> Told:
    return Told("ready", dumps({"message": "from here on nothing is missing"}), str(seq))


def _gap(after: str) -> Told:
    what = f"after the position {after[:64]}" if after else "just now"
    return Told("gap", dumps({"message": f"something may be missing {what}"}))
