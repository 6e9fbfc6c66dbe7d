"""How the house stands, in numbers: what was counted, and what is looked up on the spot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import peewee as pw

from codex32.kernel.account_rows import WorkspaceRow
from codex32.kernel.database import fetch
from codex32.kernel.json_values import loads
from codex32.kernel.metric_rows import MetricRow, ProcessRow
from codex32.kernel.models import (
    ApprovalRow,
    BotRow,
    ExecutionRow,
    TriggerRow,
)
from codex32.kernel.outbound_rows import DeliveryRow
from codex32.kernel.pools import Pool
from codex32.kernel.statuses import Status
from codex32.services.ai import breakers
from codex32.services.executions import dead_letters
from codex32.services.metering import catalogue
from codex32.services.metering.catalogue import COUNTED, Metric
from codex32.services.upkeep import processes

#: Of a pool, as processes tell it.
_OF_POOLS = {catalogue.POOL_SIZE: 0, catalogue.POOL_IN_USE: 1, catalogue.POOL_WAITING: 2}
_STATUSES = (Status.QUEUED, Status.RUNNING, Status.WAITING)


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric with its values, by the values of its labels.

    Attributes:
      values: Of a counter or gauge, one number; of a histogram what each part holds, see
        :mod:`codex32.services.metering.meter`: counts, and the sum; by the metric's scale.
    """

    metric: Metric
    values: Mapping[tuple[str, ...], Mapping[str, int]]


def counted() -> list[Reading]:
    """What all processes have counted, in the order of the catalogue.

    Rows of metrics, or with more labels, that this version does not know are left out. New labels
    stand behind those of before: in rows of earlier versions they are empty.
    """
    found: dict[str, dict[tuple[str, ...], dict[str, int]]] = {name: {} for name in COUNTED}
    columns = MetricRow.name, MetricRow.labels, MetricRow.part, MetricRow.value
    for name, packed, part, value in fetch(MetricRow.select(*columns)):
        labels = tuple(loads(packed))
        lacks = len(COUNTED[name].labels) - len(labels) if name in COUNTED else -1
        if lacks >= 0:
            parts = found[name].setdefault((*labels, *[""] * lacks), {})
            parts[part] = parts.get(part, 0) + value
    for name, metric in COUNTED.items():
        if not metric.labels:  # a series that begins with its first event has no first event
            found[name].setdefault((), {})
    return [Reading(COUNTED[name], values) for name, values in found.items()]


def looked_up(now: int) -> list[tuple[Metric, Mapping[tuple[str, ...], float]]]:
    """Gauges: each answered by an index, whatever the history holds."""
    return [(metric, dict(values)) for metric, values in _gauges(now)]


def _gauges(now: int) -> Iterator[tuple[Metric, Sequence[tuple[tuple[str, ...], float]]]]:
    yield catalogue.BUILD, [((_version(),), 1)]
    yield catalogue.OPEN, [((each.value,), _count(standing(each))) for each in _STATUSES]
    oldest = ExecutionRow.select(pw.fn.MIN(ExecutionRow.id)).where(standing(Status.QUEUED))
    asked_at = ExecutionRow.select(ExecutionRow.created_at).where(ExecutionRow.id == oldest)
    yield catalogue.OLDEST, [((), _ago(asked_at.scalar(), now))]
    yield catalogue.DEAD_LETTERS, [((), _count(dead_letters.OPEN))]
    pending = ApprovalRow.select().where(ApprovalRow.status == "pending")
    yield catalogue.APPROVALS_OPEN, [((), pending.count())]
    due = TriggerRow.select(pw.fn.MIN(TriggerRow.next_at)).where(
        TriggerRow.enabled & TriggerRow.next_at.is_null(False)
    )
    yield catalogue.SCHEDULE_BEHIND, [((), _ago(due.scalar(), now))]
    living = processes.living(now)
    kinds = [each.kind for each in living]
    yield catalogue.PROCESSES, [((kind,), kinds.count(kind)) for kind in sorted(set(kinds))]
    busy = _pools(living)
    for metric, part in _OF_POOLS.items():
        yield metric, [(place, pool[part]) for place, pool in busy]
    yield catalogue.BOTS, _bots()
    owed = DeliveryRow.select().where(DeliveryRow.status == "pending")
    yield catalogue.DELIVERIES, [((), owed.count())]
    yield catalogue.BREAKERS, sorted(breakers.standing(now).items())


@cache
def _version() -> str:
    return version("codex32")


def _pools(living: Sequence[ProcessRow]) -> Sequence[tuple[tuple[str, ...], Pool]]:
    """How busy the pools of all processes of a kind were when each was last heard of."""
    found: dict[tuple[str, ...], Pool] = {}
    for each in living:
        for name, told in loads(each.pools or "{}").items():
            there = found.get((each.kind, name), Pool(0, 0))
            found[each.kind, name] = there.with_other(Pool(*told))
    return sorted(found.items())


def standing(status: Status) -> pw.Expression:
    """Executions of all workspaces that are in ``status``."""
    # The index of statuses begins with the workspace: it serves those who name all of them.
    everywhere = ExecutionRow.workspace.in_(WorkspaceRow.select(WorkspaceRow.name))
    return everywhere & (ExecutionRow.status == status)


def _count(condition: pw.Expression) -> int:
    return int(ExecutionRow.select().where(condition).count())


def _ago(moment: int | None, now: int) -> float:
    return max(now - moment, 0) / 1e6 if moment is not None else 0.0


def _bots() -> list[tuple[tuple[str, ...], float]]:
    there = BotRow.select().where(BotRow.removed_at.is_null() & (BotRow.origin != "run"))
    broken = BotRow.problems.is_null(False)
    active = BotRow.enabled & ~BotRow.paused
    return [
        (("active",), there.where(active & ~broken).count()),
        (("paused",), there.where(~active & ~broken).count()),
        (("broken",), there.where(broken).count()),
    ]
