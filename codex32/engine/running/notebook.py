"""What an attempt writes down: values masked and packed, log lines, records, events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from codex32.engine.records.advance import Advance, Asked, Claim, LogLine, StepRecord
from codex32.engine.records.awaiting import Subscription
from codex32.engine.records.record import advance
from codex32.engine.running.environment import Environment
from codex32.engine.running.lines import Lines, write_lines
from codex32.kernel.contracts.notifier import Receipt
from codex32.kernel.events import Event, EventPublished, NotificationSent
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.masking import Masker
from codex32.kernel.outcomes import Publication
from codex32.kernel.text import storable

#: How soon a line of a step that is still running can be read.
LINES_EVERY_SECONDS = 0.3
#: Characters of a row; longer lines go into several.
LONGEST_LINE = 64 * 1024


class ClaimLost(Exception):
    """Another worker holds the execution now; what this one still does counts no more."""


class Notebook:
    """The writing side of one attempt.

    A finished step may be *held*: it then shares the commit of whatever is written next. It is
    flushed before another step starts, so a line of steps costs one commit each, and the last
    step shares the commit of the execution's end.

    Attributes:
      types: The bot types of the steps and their parts, by step.
      bot_type: The one of the bot; empty as long as its plan is not known.
    """

    def __init__(self, env: Environment, claim: Claim) -> None:
        self.env = env
        self.claim = claim
        self.masker = Masker()
        self.types: dict[str, str] = {}
        self.bot_type = ""
        self._lines: list[LogLine] = []
        self._lines_due: asyncio.TimerHandle | None = None
        self._held: tuple[StepRecord, ...] = ()
        self._held_state: dict[str, JSON] = {}
        self._held_events: tuple[Event, ...] = ()

    def close(self) -> None:
        """Write the last log lines."""
        if self._lines_due is not None:
            self._lines_due.cancel()
        self._write_lines()

    async def pack(self, value: JSON) -> str:
        """A value's column text, masked."""
        return (await self.pack_masked(value))[1] or "null"

    async def pack_masked(self, value: JSON) -> tuple[JSON, str | None]:
        """A value as the row will hold it, and its column text; None for None."""
        if value is None:
            return None, None
        value = self.masker.mask_value(value)
        packed = self.env.payloads.pack_small(value)
        if packed is None:  # it goes to a file, which would block the loop
            packed = await asyncio.to_thread(self.env.payloads.pack, self.claim.id, value)
        return value, packed

    def log(
        self, step: str, item: int, level: str, message: str, fields: Mapping[str, JSON]
    ) -> None:
        """Add a log line; it can be read before long, and at the latest with the step's record."""
        text = storable(self.masker.mask(message))
        packed = dumps(self.masker.mask_value(fields)) if fields else None
        # Cut once it is masked: a secret in two pieces would be in neither.
        for start in range(0, max(len(text), 1), LONGEST_LINE):
            piece = text[start : start + LONGEST_LINE]
            at = self.env.clock.micros()
            self._lines.append(LogLine(step, item, at, level, piece, None if start else packed))
        if self._lines_due is None:
            loop = asyncio.get_running_loop()
            self._lines_due = loop.call_later(LINES_EVERY_SECONDS, self._write_lines)

    def _write_lines(self) -> None:
        self._lines_due = None
        if self._lines:
            self.env.door.post(write_lines, Lines(self.claim.id, self._take_lines()))

    def _take_lines(self) -> list[LogLine]:
        lines, self._lines = self._lines, []
        return lines

    async def record(
        self, *records: StepRecord, subscriptions: Sequence[Subscription] = ()
    ) -> None:
        """Make steps durable before anything else happens.

        Raises:
          ClaimLost: The execution is another worker's by now.
        """
        await self.write(Advance(self.claim, steps=records, subscriptions=subscriptions))

    async def record_stopped(self, records: Sequence[StepRecord], *, asked: bool) -> None:
        """Make steps durable that were stopped; what they asked people, or started, is over.

        Raises:
          ClaimLost: The execution is another worker's by now.
        """
        places = {(each.step, each.item) for each in records}
        # What is on its way comes first: a step may just have been starting another bot.
        await self.env.door.write(_nothing, patience_seconds=None)
        await self.write(
            Advance(
                self.claim,
                steps=records,
                asked=asked,
                stopped=places,
                stopped_at=self.env.clock.micros(),
            )
        )

    async def record_asking(self, record: StepRecord, asked: Asked, event: Event) -> None:
        """Make a step durable that waits for people, together with what it asks them.

        Raises:
          ClaimLost: The execution is another worker's by now.
        """
        await self.write(Advance(self.claim, steps=[record], asks=[asked], events=(event,)))

    async def record_done(
        self,
        records: Sequence[StepRecord],
        state: Mapping[str, JSON] | None = None,
        events: Sequence[Event] = (),
    ) -> None:
        """Make finished steps durable, with what they write and publish."""
        await self.write(
            Advance(
                self.claim,
                steps=records,
                state=_packed(state or {}),
                events=events,
            )
        )

    def post(self, item: Advance) -> None:
        """Record something that nobody waits for."""
        self.env.door.post(advance, item)

    def hold(
        self,
        record: StepRecord,
        state: Mapping[str, JSON] | None,
        events: Sequence[Event] = (),
    ) -> None:
        """Leave a finished step to the next commit; call :meth:`flush` before another step."""
        self._held = (*self._held, record)
        self._held_state.update(state or {})
        self._held_events = (*self._held_events, *events)

    async def flush(self) -> None:
        """Make held steps durable.

        Raises:
          ClaimLost: The execution is another worker's by now.
        """
        if self._held:
            await self.write(Advance(self.claim))

    async def write(self, item: Advance, patience_seconds: float | None = None) -> None:
        """Record ``item``, with what was held and the log lines so far.

        Args:
          item: What happened.
          patience_seconds: How long a database that is out of reach is waited for; None for ever.

        Raises:
          ClaimLost: The execution is another worker's by now.
        """
        if self._held:
            item.steps = (*self._held, *item.steps)
            if self._held_state:
                item.state = {**_packed(self._held_state), **item.state}
            if self._held_events:
                item.events = (*self._held_events, *item.events)
            self._held, self._held_state, self._held_events = (), {}, ()
        if self._lines:
            item.logs = self._take_lines()
        item.types, item.bot_type = self.types, self.bot_type
        fault_point("record.before")
        accepted = await self.env.door.write_many(advance, item, patience_seconds=patience_seconds)
        fault_point("record.after")
        if not accepted:
            raise ClaimLost

    def published(self, publications: Sequence[Publication]) -> tuple[Event, ...]:
        """What a step publishes, secrets masked."""
        return tuple(
            EventPublished(
                at=self.env.clock.now(),
                id=each.id,
                name=self.masker.mask(each.name),
                data=self.masker.mask_value(each.data),
                workspace=self.claim.workspace,
                execution_id=self.claim.id,
            )
            for each in publications
        )

    def announce_sent(self, notifier: str, receipt: Receipt) -> None:
        """Tell that a notifier took a notification."""
        event = NotificationSent(
            at=self.env.clock.now(),
            workspace=self.claim.workspace,
            notifier=notifier,
            receipt={"id": receipt.id},
        )
        self.post(Advance(self.claim, events=(event,)))


def _nothing() -> None:
    """A write that only waits for those before it."""


def _packed(state: Mapping[str, JSON]) -> dict[str, str | None]:
    return {key: None if value is None else dumps(value) for key, value in state.items()}
