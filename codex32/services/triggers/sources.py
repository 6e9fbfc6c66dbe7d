"""Triggers that answer what a source tells: mail, and whatever plugins watch.

How far a trigger has read is a row. What is new is answered in the transaction that moves the row
on, and only where the row still says from where it was read; so any number of schedulers, and a
crash at any moment, answer it once, and what came while nobody looked is found afterwards.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from codex32.engine.records import gates
from codex32.kernel.batches import Insert
from codex32.kernel.bot import Allow, Trigger
from codex32.kernel.clock import Clock
from codex32.kernel.contracts.source import Batch, Connect, Source
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.database import Door, fetch
from codex32.kernel.errors import CapabilityRefused, StepFault
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, canonical, dumps, loads
from codex32.kernel.models import TriggerRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.watching_rows import SourceRow
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.schedules import TriggerTypes, restored
from codex32.services.triggers.answering import Answerer, Happening, Question
from codex32.services.triggers.listeners import live
from codex32.services.triggers.occurrences import Answer, Due, carry_out, first_answers

log = logging.getLogger(__name__)

#: Gives a secret of a workspace by name, or None where there is none.
ReadSecret = Callable[[str, str], Awaitable[str | None]]
#: Gives a way to the hosts that a bot allows.
Reach = Callable[[Sequence[str]], Connect]

#: How long a source that failed is left alone: at first, and at most.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 300.0
_CURSORS = Insert(SourceRow, ("trigger_id", "cursor", "moved_at"), replace=True)


@dataclass(frozen=True, slots=True)
class Watched:
    """A live trigger with what it watches, and what its bot may reach."""

    due: Due
    trigger: Trigger
    source: Source
    allow: Allow

    @property
    def sameness(self) -> str:
        """What must not change while it is watched."""
        due = self.due
        return canonical([due.definition, due.version_id, due.paused, due.bot_name])


def watches_source(kind: TriggerType) -> bool:
    """Whether triggers of this kind may watch a source."""
    return type(kind).source is not TriggerType.source


class SourceWatcher:
    """Watches the sources of all live triggers; one a scheduler.

    Args:
      secret: Gives secrets.
      reach: Gives the way to the network.
    """

    def __init__(
        self,
        door: Door,
        clock: Clock,
        types: TriggerTypes,
        definitions: Definitions,
        payloads: PayloadStore,
        *,
        secret: ReadSecret,
        reach: Reach,
    ) -> None:
        self._door, self._clock, self._types = door, clock, types
        self._definitions, self._payloads = definitions, payloads
        self._answerer = Answerer(definitions, payloads)
        self._secret, self._reach = secret, reach
        self._kinds = [name for name, kind in types.items() if watches_source(kind)]
        self._going: dict[str, tuple[str, asyncio.Task[None]]] = {}
        #: The triggers at the last look; None before the first.
        self._known: set[str] | None = None

    async def look(self) -> None:
        """Begin to watch what is new among the triggers, and end what is no more."""
        if not self._kinds:
            return
        watched = {each.due.id: each for each in await self._door.read(self._watched)}
        for trigger_id, (sameness, task) in list(self._going.items()):
            wanted = watched.get(trigger_id)
            if wanted is None or wanted.sameness != sameness:
                del self._going[trigger_id]
                await _ended(task)
        if watched.keys() != self._known:
            await self._door.write(forget)
            self._known = set(watched)
        for trigger_id in watched.keys() - self._going.keys():
            each = watched[trigger_id]
            task = asyncio.create_task(self._watch(each))
            self._going[trigger_id] = (each.sameness, task)

    async def close(self) -> None:
        """Watch nothing any more."""
        going, self._going = self._going, {}
        for _, task in going.values():
            await _ended(task)

    async def _watch(self, each: Watched) -> None:
        """Watch one source until cancelled; after a fault again, later and later."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                if await self._read_on(each):
                    pause = FIRST_PAUSE_SECONDS
            except CapabilityRefused as refused:
                await self._door.write(partial(self._refuse, each, "capability", refused.message))
                pause = LONGEST_PAUSE_SECONDS
            except StepFault as fault:
                told = "%s cannot watch its source: %s"
                log.warning(told, each.due.bot_name, fault.message, extra=each.due.about)
                if not fault.retryable:  # a wrong password, a mailbox that is not there
                    await self._door.write(partial(self._refuse, each, "invalid", fault.message))
                pause = max(pause, fault.retry_after_seconds or 0.0)
            except Exception:
                told = "the source of %s failed and is watched again"
                log.exception(told, each.due.bot_name, extra=each.due.about)
            # Schedulers that failed together must not come back together for ever.
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _read_on(self, each: Watched) -> bool:
        """Take what the source tells, until somebody else is further or it ends; whether any."""
        cursor, took = await self._door.read(_cursor, each.due.id), False
        batches: Any = each.source.watch(
            cursor, await self._secrets(each), self._reach(each.allow.hosts)
        )
        async with aclosing(batches):
            async for batch in batches:
                take = partial(self._take, each, cursor, batch)
                if not await self._door.write(take):
                    return True
                fault_point("sources.committed")
                cursor, took = batch.cursor, True
        return took

    async def _secrets(self, each: Watched) -> dict[str, str]:
        values = {}
        for name in each.source.secrets:
            if name not in each.allow.secrets:
                raise CapabilityRefused("secrets", name)
            value = await self._secret(each.due.workspace, name)
            if value is None:
                raise StepFault(f"the secret {name} is not set; run: codex32 secrets set {name}")
            values[name] = value
        return values

    def _take(self, each: Watched, cursor: JSON, batch: Batch) -> bool:
        """Answer what nobody has answered, and move on; called in a write. Whether it was ours."""
        trigger_id, now = each.due.id, self._clock.micros()
        gates.lock(f"source:{trigger_id}")
        enabled = TriggerRow.select().where((TriggerRow.id == trigger_id) & TriggerRow.enabled)
        if _cursor(trigger_id) != cursor or not enabled.exists():
            return False
        questions = [
            Question(each.due, each.trigger, Happening(_key(news.key), now, news.about))
            for news in batch.news
        ]
        carry_out(first_answers(self._answerer.answer(questions, now)), self._payloads, now)
        _CURSORS.write([(trigger_id, dumps(batch.cursor), now)])
        fault_point("sources.before_commit")
        return True

    def _refuse(self, each: Watched, decision: str, why: str) -> None:
        """Say once, where ``codex32 why`` looks, that the trigger may not or cannot watch."""
        now = self._clock.micros()
        answer = Answer(each.due, now, decision, why, key=_key(f"refused:{why}"))
        if answers := first_answers([answer]):
            carry_out(answers, self._payloads, now)

    def _watched(self) -> list[Watched]:
        found = []
        for due in live(self._kinds):
            trigger = restored(due.definition)
            source = self._types[trigger.kind].source(trigger.config)
            if source is not None and due.version_id is not None:
                allow = self._definitions.bot(due.version_id).allow
                found.append(Watched(due, trigger, source, allow))
        return found


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _cursor(trigger_id: str) -> JSON:
    rows = fetch(SourceRow.select(SourceRow.cursor).where(SourceRow.trigger_id == trigger_id))
    return loads(rows[0][0]) if rows else None


def forget() -> int:
    """Forget how far triggers had read that are gone or switched off: they begin anew."""
    enabled = TriggerRow.select(TriggerRow.id).where(TriggerRow.enabled)
    return int(SourceRow.delete().where(SourceRow.trigger_id.not_in(enabled)).execute())
