"""Counting what happens in this process, and adding it to the rows from time to time."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import peewee as pw

from codex32.kernel.database import Door
from codex32.kernel.events import (
    ApprovalDecided,
    AttemptFinished,
    Event,
    ExecutionFinished,
    ExecutionQueued,
    NotificationSent,
    PluginFailed,
    StepFinished,
    TriggerFired,
    WorkerLost,
)
from codex32.kernel.json_values import dumps
from codex32.kernel.metric_rows import MetricRow
from codex32.services.metering import catalogue
from codex32.services.metering.catalogue import Metric

if TYPE_CHECKING:
    from codex32.services.ai.ledger import Settlement

#: Of a row: metric, values of its labels, and which part of a histogram: a bound, or ``sum``.
Place: TypeAlias = tuple[str, tuple[str, ...], str]
#: The part that a counter has, and the bucket of a histogram for all that is beyond its bounds.
WHOLE, BEYOND, SUM = "", "+Inf", "sum"


class Meter:
    """Counts in memory; many threads may.

    Attributes:
      counting: Where it is false, nothing is counted.
    """

    def __init__(self) -> None:
        self.counting = True
        self._lock = threading.Lock()
        self._counted: dict[Place, int] = {}
        #: What of the door's own counting is counted here already.
        self._commits = self._writes = 0

    def take_note(self, notices: Sequence[Event | str]) -> None:
        """Count events that were told after one commit."""
        if not self.counting:
            return
        with self._lock:
            for notice in notices:
                if not isinstance(notice, str):
                    self._count(notice)

    def _count(self, event: Event) -> None:
        match event:
            case StepFinished():
                self._add(catalogue.STEPS, event.type, event.status)
                self._observe(catalogue.STEP_SECONDS, event.duration_seconds, event.type)
            case AttemptFinished():
                self._add(catalogue.ATTEMPTS, event.outcome)
            case ExecutionFinished():
                self._add(catalogue.EXECUTIONS, event.status, event.cause or "")
                self._observe(catalogue.EXECUTION_SECONDS, event.duration_seconds, event.status)
            case ExecutionQueued():
                self._add(catalogue.EXECUTIONS_ASKED, event.trigger)
            case TriggerFired():
                self._add(catalogue.TRIGGERS, event.decision)
                if event.late_seconds is not None:
                    self._observe(catalogue.LATENESS, event.late_seconds)
            case ApprovalDecided():
                self._add(catalogue.APPROVALS, event.decision)
            case NotificationSent():
                self._add(catalogue.NOTIFICATIONS, event.notifier)
            case WorkerLost():
                self._add(catalogue.WORKERS_LOST)
            case PluginFailed():
                self._add(catalogue.PLUGINS_FAILED, event.plugin)

    def model_request(self, model: str, end: Settlement) -> None:
        """Count a request to ``provider:model`` that was settled."""
        if not self.counting:
            return
        provider = model.partition(":")[0]
        with self._lock:
            self._add(catalogue.MODEL_REQUESTS, provider, end.fault or "answered")
            if end.usage is not None:
                for kind, count in (
                    ("input", end.usage.input_tokens),
                    ("output", end.usage.output_tokens),
                ):
                    self._add(catalogue.MODEL_TOKENS, provider, kind, amount=count)
            if end.cost_nano:
                self._add(catalogue.MODEL_COST, provider, amount=end.cost_nano)

    def notification_failed(self, notifier: str) -> None:
        """Count a try at which a notifier took nothing."""
        if self.counting:
            with self._lock:
                self._add(catalogue.NOTIFICATION_FAILURES, notifier)

    def program(self, sandbox: str, code: str) -> None:
        """Count a program that ended with ``code``; empty where all went well."""
        if self.counting:
            with self._lock:
                self._add(catalogue.PROGRAMS, sandbox or "none", code or "answered")

    def socket_refused(self, by: str) -> None:
        """Count a connection that was turned away: ``process`` or ``address`` had too many."""
        if self.counting:
            with self._lock:
                self._add(catalogue.SOCKETS_REFUSED, by)

    def _add(self, metric: Metric, *labels: str, part: str = WHOLE, amount: int = 1) -> None:
        place = (metric.name, labels, part)
        self._counted[place] = self._counted.get(place, 0) + amount

    def _observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        at = bisect_left(metric.buckets, seconds)
        bound = str(metric.buckets[at]) if at < len(metric.buckets) else BEYOND
        self._add(metric, *labels, part=bound)
        self._add(metric, *labels, part=SUM, amount=max(round(seconds * 1e6), 0))

    async def keep(self, door: Door) -> None:
        """Add what was counted to the rows; what cannot be written is kept for the next time."""
        if counted := self._take(door):
            try:
                await door.write(lambda: add(counted))
            except BaseException:
                self._give_back(counted)
                raise

    def keep_now(self, door: Door) -> None:
        """The same, outside an event loop: a process ends."""
        if counted := self._take(door):
            door.write_now(lambda: add(counted), patience_seconds=1)

    def _take(self, door: Door) -> dict[Place, int]:
        with self._lock:
            commits, writes = door.commits, door.writes
            # What writes them down is itself a write: alone it is not worth another.
            if self._counted and commits > self._commits:
                self._add(catalogue.DATABASE_COMMITS, amount=commits - self._commits)
                self._add(catalogue.DATABASE_WRITES, amount=writes - self._writes)
                self._commits, self._writes = commits, writes
            counted, self._counted = self._counted, {}
        return counted

    def _give_back(self, counted: Mapping[Place, int]) -> None:
        with self._lock:
            for place, amount in counted.items():
                self._counted[place] = self._counted.get(place, 0) + amount


def add(counted: Mapping[Place, int]) -> None:
    """Add to the rows; always in the same order, so that no two processes block each other."""
    rows = [
        {"name": name, "labels": dumps(list(labels)), "part": part, "value": amount}
        for (name, labels, part), amount in sorted(counted.items())
    ]
    MetricRow.insert_many(rows).on_conflict(
        conflict_target=[MetricRow.name, MetricRow.labels, MetricRow.part],
        update={MetricRow.value: MetricRow.value + pw.EXCLUDED.value},
    ).execute()
