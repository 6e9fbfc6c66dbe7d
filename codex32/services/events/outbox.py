"""The outbox: events become rows in the transaction of what they tell, where somebody listens.

What nobody listens to is not written. Who listens is remembered for a second at most, so a
listener that is new hears what the house tells after that second; what is published as
``custom.*`` is always written, and so is never missed.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from codex32.kernel.batches import Insert
from codex32.kernel.caller import DEFAULT_WORKSPACE
from codex32.kernel.clock import to_micros
from codex32.kernel.database import fetch
from codex32.kernel.event_names import matches
from codex32.kernel.events import (
    AlertChanged,
    AttemptFinished,
    AttemptStarted,
    BotChanged,
    BotFailed,
    BotRecovered,
    BudgetExhausted,
    BudgetWarned,
    Event,
    EventPublished,
    ExecutionEvent,
    ExecutionFinished,
    ExecutionQueued,
    PluginFailed,
    StepFinished,
    TriggerFired,
    WebhookDisabled,
    WorkerLost,
)
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.models import EventRow, ExecutionRow
from codex32.kernel.notices import Notice, events_in
from codex32.kernel.payloads import PayloadMissing, PayloadStore
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.executions.starting import MAX_DEPTH
from codex32.services.triggers.listeners import patterns

log = logging.getLogger(__name__)

#: How long it is remembered who listens.
MAX_AGE_SECONDS = 1.0
#: Decisions after which no ``trigger.skipped`` is told: nothing was asked for, or it was a circle.
_NO_SKIP = frozenset({"fired", "no-match", "depth"})

#: Rows of events; one whose id or key is there already is passed over.
EVENTS = Insert(
    EventRow, ("id", "workspace", "name", "at", "data", "chain", "key", "published_by")
)


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the house as listeners see it."""

    name: str
    data: Mapping[str, JSON]
    execution_id: str | None = None
    chain: tuple[str, ...] = ()
    key: str | None = None
    by: Mapping[str, str] | None = None


class Outbox:
    """Writes the events that somebody listens to; one a process.

    Args:
      types: The installed trigger types.
      payloads: Where long values of executions lie.
    """

    def __init__(
        self,
        types: TriggerTypes,
        payloads: PayloadStore,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._types, self._payloads, self._monotonic = types, payloads, monotonic
        #: By workspace.
        self._patterns: dict[str, set[str]] = {}
        self._wanted: dict[tuple[str, str], bool] = {}
        self._until = float("-inf")

    def listening(self) -> bool:
        """Whether some of what is told may have to be written; in doubt it may."""
        return bool(self._patterns) or self._monotonic() >= self._until

    def keep(self, notices: Sequence[Notice]) -> None:
        """Write what somebody listens to; inside the transaction that is told of."""
        if self.listening():
            events = list(events_in(notices))
            if events and self._monotonic() >= self._until:
                self._refresh(to_micros(events[-1].at))
        else:
            events = [each for each in notices if isinstance(each, EventPublished)]
        rows: list[tuple[Event, str, Told]] = []
        for event in events:
            if isinstance(event, EventPublished):
                told = Told(event.name, event.data, event.execution_id, by=event.by)
                rows.append((event, event.workspace or DEFAULT_WORKSPACE, told))
            elif self._patterns and (known := tell(event)) is not None:
                rows += [
                    (event, workspace, told)
                    for workspace, told in _placed(event, known)
                    if self._wants(workspace, told.name)
                ]
        if rows:
            self._write(rows)

    def _refresh(self, now: int) -> None:
        found: dict[str, set[str]] = {}
        for workspace, pattern in patterns(self._types, now):
            found.setdefault(workspace, set()).add(pattern)
        # At once: writers on several threads ask, and none must see that half are there.
        self._patterns, self._wanted = found, {}
        self._until = self._monotonic() + MAX_AGE_SECONDS

    def _wants(self, workspace: str, name: str) -> bool:
        wanted = self._wanted.get((workspace, name))
        if wanted is None:
            mine = self._patterns.get(workspace, ())
            wanted = any(matches(name, pattern) for pattern in mine)
            self._wanted[workspace, name] = wanted
        return wanted

    def _write(self, rows: Sequence[tuple[Event, str, Told]]) -> None:
        asked = {told.execution_id for _, _, told in rows if told.execution_id is not None}
        chains = _chains(asked, self._payloads) if asked else {}
        EVENTS.write(
            [
                (
                    event.id if isinstance(event, EventPublished) else new_id("evt"),
                    workspace,
                    told.name,
                    to_micros(event.at),
                    dumps(told.data),
                    dumps(list(chains.get(told.execution_id or "", told.chain))),
                    told.key,
                    told.by and dumps(told.by),
                )
                for event, workspace, told in rows
            ]
        )


def _placed(event: Event, told: Told) -> Iterator[tuple[str, Told]]:
    """An event behind its workspace; a lost worker is told in each that it worked for."""
    if not isinstance(event, WorkerLost):
        yield event.workspace or DEFAULT_WORKSPACE, told
        return
    query = ExecutionRow.select(ExecutionRow.id, ExecutionRow.workspace)
    place = dict(fetch(query.where(ExecutionRow.id.in_(list(event.executions)))))
    mine: dict[str, list[str]] = {}
    for execution_id in event.executions:
        mine.setdefault(place.get(execution_id, DEFAULT_WORKSPACE), []).append(execution_id)
    for workspace, executions in mine.items():
        yield workspace, replace(told, data={**told.data, "executions": executions})


#: Fields of events that listeners see elsewhere, or need not see.
_NOT_TOLD = ("at", "workspace", "traceparent")


def tell(event: Event) -> Told | None:
    """An event as listeners see it; None where they are not told of it."""
    data = {
        name: getattr(event, name) for name in event.__dataclass_fields__ if name not in _NOT_TOLD
    }
    if isinstance(event, ExecutionEvent):
        execution_id = data.pop("execution_id")
        name = _execution_name(event)
        return name and Told(name, {"execution": execution_id, **data}, execution_id)  # type: ignore[return-value]
    match event:
        case BotChanged():
            return Told("bot.changed", data)
        case BotFailed():
            return Told("bot.failed", {**data, "problems": list(event.problems)})
        case BotRecovered():
            return Told("bot.recovered", data)
        case TriggerFired() if event.decision not in _NO_SKIP:
            about = {key: data[key] for key in ("bot", "trigger", "decision")}
            return Told("trigger.skipped", about, chain=(*event.chain, event.bot))
        case WorkerLost():
            return Told("worker.lost", {"worker": event.worker}, key=f"worker.lost:{event.worker}")
        case PluginFailed():
            # Every process that starts finds it out again.
            seen = hashlib.sha256(f"{event.plugin}\n{event.reason}".encode()).hexdigest()[:16]
            key = f"plugin.failed:{event.at:%Y-%m-%d}:{seen}"
            return Told("plugin.failed", data, key=key)
        case WebhookDisabled():
            return Told("webhook.disabled", data)
        case BudgetWarned():
            return Told("budget.warned", data)
        case BudgetExhausted():
            return Told("budget.exhausted", data)
        case AlertChanged():
            # No bot answers its own alerts: its failures would be what it answers.
            return Told(f"alert.{data.pop('change')}", data, chain=(event.bot,))
    return None


def _execution_name(event: ExecutionEvent) -> str | None:
    match event:
        case ExecutionQueued():
            return "execution.queued"
        case AttemptStarted() if event.attempt == 1:
            return "execution.started"
        case AttemptFinished() if event.outcome == "waiting":
            return "execution.waiting"
        case ExecutionFinished():
            return f"execution.{event.status}"
        case StepFinished():
            return "step.finished"
    return None


def _chains(ids: Iterable[str], payloads: PayloadStore) -> dict[str, tuple[str, ...]]:
    """The bots that led to each execution, its own the last, through events and other bots."""
    rows: dict[str, tuple[str | None, str, str]] = {}
    asked = set(ids)
    wanted = set(asked)
    for _ in range(MAX_DEPTH + 2):
        if not wanted:
            break
        query = ExecutionRow.select(
            ExecutionRow.id, ExecutionRow.parent_id, ExecutionRow.bot_name, ExecutionRow.trigger
        ).where(ExecutionRow.id.in_(list(wanted)))
        for row_id, parent_id, bot_name, trigger in fetch(query):
            rows[row_id] = (parent_id, bot_name, trigger)
        wanted = {row[0] for row in rows.values() if row[0] is not None} - set(rows) - wanted
    return {each: _chain(each, rows, payloads) for each in asked if each in rows}


def _chain(
    execution_id: str, rows: Mapping[str, tuple[str | None, str, str]], payloads: PayloadStore
) -> tuple[str, ...]:
    chain: list[str] = []
    at: str | None = execution_id
    while at is not None and at in rows:
        parent_id, bot_name, trigger = rows[at]
        chain.insert(0, bot_name)
        if parent_id is None:
            chain[:0] = _chain_of_trigger(at, trigger, payloads)
        at = parent_id
    return tuple(dict.fromkeys(chain))


def _chain_of_trigger(execution_id: str, text: str, payloads: PayloadStore) -> list[str]:
    if not text.startswith("@") and '"chain"' not in text:
        return []
    try:
        event = payloads.unpack(execution_id, text).get("event")
    except PayloadMissing:
        told = "%s: what triggered it is gone, and with it its chain"
        log.warning(told, execution_id, extra={"execution": execution_id})
        return []
    chain = event.get("chain") if isinstance(event, dict) else None
    return [str(bot) for bot in chain] if isinstance(chain, list) else []
