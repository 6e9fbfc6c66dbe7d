"""Counting what happens in this process, and adding it to the rows from time to time."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import peewee as pw

from codex32.engine.records.advance import Advance
from codex32.engine.records.happenings import Recorded, has_ended, micros
from codex32.kernel.clock import to_micros
from codex32.kernel.database import Door, fetch
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
from codex32.kernel.ids import made_at
from codex32.kernel.json_values import dumps
from codex32.kernel.metric_rows import MetricRow
from codex32.kernel.notices import Notice
from codex32.kernel.statuses import FINAL
from codex32.services.executions.starting import Queued
from codex32.services.metering import catalogue
from codex32.services.metering.catalogue import COUNTED, Metric

if TYPE_CHECKING:
    from codex32.services.ai.ledger import Settlement

log = logging.getLogger(__name__)

#: Of a row: metric, values of its labels, and which part of a histogram: a bound, or ``sum``.
Place: TypeAlias = tuple[str, tuple[str, ...], str]
#: The part that a counter has, and the bucket of a histogram for all that is beyond its bounds.
WHOLE, BEYOND, SUM = "", "+Inf", "sum"
#: How many sets of labels a metric may have, and what those beyond are called.
MOST_SERIES, OTHER = 500, "other"
LONGEST_LABEL = 100


class Meter:
    """Counts in memory; many threads may.

    Attributes:
      counting: Where it is false, nothing is counted.
    """

    def __init__(self) -> None:
        self.counting = True
        self._lock = threading.Lock()
        self._counted: dict[Place, int] = {}
        #: Histograms, by metric and labels: a count a bucket, and the sum.
        self._observed: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        #: What of the door's own counting is counted here already.
        self._seen: dict[Place, int] = {}

    def take_note(self, notices: Sequence[Notice]) -> None:
        """Count what was told after one commit."""
        if not self.counting:
            return
        with self._lock:
            for notice in notices:
                match notice:
                    # Of these are many, and an event takes longer to make than to count.
                    case Recorded():
                        for item in notice.items:
                            self._count_recorded(item)
                    case Queued():
                        for new in notice.executions:
                            self._add(catalogue.EXECUTIONS_ASKED, new.trigger_kind)
                    case Event():
                        self._count(notice)

    def _count_recorded(self, item: Advance) -> None:
        for record in item.steps:
            if has_ended(item, record):
                lasted = micros(record.started_at, record.finished_at)
                self._step(item.types.get(record.step, ""), record.status, lasted)
        end, claim = item.end, item.claim
        if end is not None:
            self._add(catalogue.ATTEMPTS, end.outcome)
            if end.status in FINAL:
                lasted = micros(claim.started_at, end.at)
                self._execution(end.status, end.cause, item.bot_type, lasted)
                self._waited(claim.id, claim.started_at)

    def _count(self, event: Event) -> None:
        match event:
            case StepFinished():
                self._step(event.type, event.status, _micros(event.duration_seconds))
            case AttemptFinished():
                self._add(catalogue.ATTEMPTS, event.outcome)
            case ExecutionFinished():
                lasted = _micros(event.duration_seconds)
                self._execution(event.status, event.cause, event.bot_type, lasted)
                if lasted:  # else it ended in the queue
                    self._waited(event.execution_id, to_micros(event.at) - lasted)
            case ExecutionQueued():
                self._add(catalogue.EXECUTIONS_ASKED, event.trigger)
            case TriggerFired():
                self._add(catalogue.TRIGGERS, event.decision)
                if event.late_seconds is not None:
                    self._observe(catalogue.LATENESS, _micros(event.late_seconds))
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

    def _step(self, kind: str, status: str, lasted: int) -> None:
        self._add(catalogue.STEPS, kind, status)
        self._observe(catalogue.STEP_SECONDS, lasted, kind)

    def _execution(self, status: str, cause: str | None, bot_type: str, lasted: int) -> None:
        self._add(catalogue.EXECUTIONS, status, cause or "", bot_type)
        self._observe(catalogue.EXECUTION_SECONDS, lasted, status)

    def _waited(self, execution_id: str, started_at: int) -> None:
        self._observe(catalogue.EXECUTION_WAIT, max(started_at - made_at(execution_id), 0))

    def _observe(self, metric: Metric, lasted: int, *labels: str) -> None:
        """Add ``lasted`` microseconds to a histogram of seconds."""
        found = self._observed.get((metric.name, labels))
        if found is None:
            found = self._observed[metric.name, labels] = [0] * (len(metric.buckets) + 2)
        found[bisect_left(metric.buckets, lasted / 1e6)] += 1
        found[-1] += lasted

    async def keep(self, door: Door) -> None:
        """Add what was counted to the rows; what cannot be written is kept for the next time."""
        if counted := self._take(door):
            try:
                await door.write(lambda: add(counted))
            except BaseException:
                self._give_back(counted)
                raise

    def keep_now(self, door: Door) -> None:
        """The same, outside an event loop and for the last time: a process ends."""
        if counted := self._take(door):
            try:
                door.write_now(lambda: add(counted), patience_seconds=1)
            except Exception as error:
                log.warning("what was counted in the last seconds is lost: %s", error)

    def _take(self, door: Door) -> dict[Place, int]:
        with self._lock:
            # What writes them down is itself a write: alone it is not worth another.
            if self._counted:
                self._look_at(door)
            self._unfold()
            counted, self._counted = self._counted, {}
        return counted

    def _unfold(self) -> None:
        """Put what histograms hold to the rest."""
        for (name, labels), amounts in self._observed.items():
            parts = *map(str, COUNTED[name].buckets), BEYOND, SUM
            for part, amount in zip(parts, amounts, strict=True):
                if amount or part == SUM:
                    self._add(COUNTED[name], *labels, part=part, amount=amount)
        self._observed = {}

    def _look_at(self, door: Door) -> None:
        """Count what the door has counted since it was last looked at."""
        for place, total in _counted_by(door):
            more = total - self._seen.get(place, 0)
            if more:
                self._seen[place] = total
                self._counted[place] = self._counted.get(place, 0) + more

    def _give_back(self, counted: Mapping[Place, int]) -> None:
        with self._lock:
            for place, amount in counted.items():
                self._counted[place] = self._counted.get(place, 0) + amount


def _micros(seconds: float) -> int:
    return max(round(seconds * 1e6), 0)


def _counted_by(door: Door) -> Iterator[tuple[Place, int]]:
    commits = catalogue.COMMIT_WRITES
    for bound, count in zip(commits.buckets, door.sizes, strict=True):
        yield (commits.name, (), str(bound)), count
    yield (commits.name, (), SUM), door.writes
    yield (catalogue.READ_WAITS.name, (), WHOLE), door.readers.waits
    waited = round(door.readers.waited_seconds * catalogue.READ_WAIT_SECONDS.scale)
    yield (catalogue.READ_WAIT_SECONDS.name, (), WHOLE), waited


def add(counted: Mapping[Place, int]) -> None:
    """Add to the rows; always in the same order, so that no two processes block each other.

    Labels have few values; should those of a metric become many, whoever chose them, they count as
    :data:`OTHER` from then on.
    """
    known = _known({name for name, _, _ in counted})
    values: dict[tuple[str, str, str], int] = {}
    for (name, labels, part), amount in counted.items():
        packed = dumps([_plain(label) for label in labels])
        if packed not in known[name]:
            if len(known[name]) >= MOST_SERIES:
                packed = dumps([OTHER] * len(labels))
            known[name].add(packed)
        values[name, packed, part] = values.get((name, packed, part), 0) + amount
    rows = [
        {"name": name, "labels": labels, "part": part, "value": amount}
        for (name, labels, part), amount in sorted(values.items())
    ]
    MetricRow.insert_many(rows).on_conflict(
        conflict_target=[MetricRow.name, MetricRow.labels, MetricRow.part],
        update={MetricRow.value: MetricRow.value + pw.EXCLUDED.value},
    ).execute()


def _plain(label: str) -> str:
    """A label that fits into every answer, whatever a plugin called itself."""
    return label[:LONGEST_LABEL].encode(errors="replace").decode()


def _known(names: Collection[str]) -> dict[str, set[str]]:
    """The labels that each metric has, as its rows hold them."""
    known: dict[str, set[str]] = {name: set() for name in names}
    columns = MetricRow.name, MetricRow.labels
    for name, labels in fetch(MetricRow.select(*columns).distinct()):
        if name in known:
            known[name].add(labels)
    return known
