"""How the house stands at one moment: what ``codex32 top`` shows."""

from __future__ import annotations

from collections import Counter

from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.clock import from_micros
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ExecutionRow
from codex32.kernel.statuses import Status
from codex32.services.metering import catalogue, looking
from codex32.services.metering.meter import WHOLE

#: Executions and alerts that are named.
NAMED = 15


def overview(now: int) -> dict[str, JSON]:
    """Numbers, who works, and what has been under way for longest; a function for ``Door.read``.

    Args:
      now: The present, in microseconds.

    Returns:
      Gauges by their names in the metrics, those with labels as mappings; ``ended`` has counts
      since the counting began, so two looks tell a rate.
    """
    found: dict[str, JSON] = {"at": from_micros(now).isoformat()}
    for metric, values in looking.looked_up(now):
        found[metric.name] = (
            {" ".join(labels): value for labels, value in values.items()}
            if metric.labels
            else values[()]
        )
    return {**found, "ended": _ended(), "running": _running(now), "firing": _firing(now)}


def _ended() -> dict[str, JSON]:
    ended: Counter[str] = Counter()
    for reading in looking.counted():
        if reading.metric is catalogue.EXECUTIONS:
            for (status, *_), parts in reading.values.items():
                ended[status] += parts.get(WHOLE, 0)
    return {**ended}


def _running(now: int) -> list[JSON]:
    rows = (
        ExecutionRow.select()
        .where(looking.standing(Status.RUNNING))
        .order_by(ExecutionRow.attempt_at)
        .limit(NAMED)
    )
    return [
        {
            "id": row.id,
            "workspace": row.workspace,
            "bot": row.bot_name,
            "attempt": row.attempt,
            "worker": row.worker,
            "seconds": _seconds(row.attempt_at, now),
        }
        for row in rows
    ]


def _firing(now: int) -> list[JSON]:
    rows = (
        AlertRow.select()
        .where(AlertRow.state == "firing")
        .order_by(AlertRow.state_since)
        .limit(NAMED)
    )
    return [
        {
            "workspace": row.workspace,
            "bot": row.bot_name,
            "alert": row.name,
            "detail": row.detail,
            "seconds": _seconds(row.state_since, now),
        }
        for row in rows
    ]


def _seconds(since: int | None, now: int) -> float:
    return 0.0 if since is None else round(max(now - since, 0) / 1e6, 1)
