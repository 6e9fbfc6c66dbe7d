"""Deliveries: one event for one endpoint, with what is sent and what came of it.

They are made in the transaction in which a scheduler delivers the event, so none is lost and none
is made twice. Functions here read and write rows: they are called through ``Door``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from codex32.kernel.batches import Insert
from codex32.kernel.caller import Caller
from codex32.kernel.database import fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.event_names import matches
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.outbound_rows import DeliveryAttemptRow, DeliveryRow, EndpointRow
from codex32.services.events.outbound_endpoints import get as get_endpoint
from codex32.services.presentation import iso
from codex32.services.safe import audit

#: Bytes of a body, as Standard Webhooks has it: 20 kB.
LONGEST_BODY = 20_000
TEST_NAME = "webhook.test"
PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"

DELIVERIES = Insert(
    DeliveryRow,
    (
        "id",
        "workspace",
        "endpoint_id",
        "event_id",
        "name",
        "body",
        "status",
        "tries",
        "round_from",
        "next_at",
        "created_at",
    ),
)


class DeliveryNotFound(Codex32Error):
    """The outbound webhook has no delivery of this id."""

    code = "delivery-not-found"

    def __init__(self, asked: str) -> None:
        super().__init__(f"no delivery is called {asked!r}")


class EndpointDisabled(Codex32Error):
    """The outbound webhook is disabled, so nothing is sent to it."""

    code = "webhook-disabled"

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(f"{endpoint_id} is disabled; enable it first")


class Happening(Protocol):
    """An event."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def workspace(self) -> str:
        """Whose it is."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def at(self) -> int:
        """When it happened, in microseconds."""

    @property
    def data(self) -> JSON:
        """What it tells."""


def enqueue(events: Sequence[Happening], now: int) -> int:
    """Make a delivery of each event for each endpoint that wants it; how many were wanted."""
    columns = (EndpointRow.id, EndpointRow.workspace, EndpointRow.patterns)
    endpoints = [
        (endpoint_id, workspace, loads(patterns))
        for endpoint_id, workspace, patterns in fetch(
            EndpointRow.select(*columns).where(EndpointRow.enabled)
        )
    ]
    rows = [
        _new(endpoint_id, event, now)
        for event in events
        for endpoint_id, workspace, patterns in endpoints
        if workspace == event.workspace and any(matches(event.name, each) for each in patterns)
    ]
    DELIVERIES.write(rows)
    return len(rows)


def _new(endpoint_id: str, event: Happening, now: int) -> tuple[JSON, ...]:
    body = body_of(event.name, event.at, event.data)
    if len(body.encode()) > LONGEST_BODY:
        body = body_of(event.name, event.at, {"too_long": True, "event": event.id})
    return (
        new_id("msg"),
        event.workspace,
        endpoint_id,
        event.id,
        event.name,
        body,
        PENDING,
        0,
        0,
        now,
        now,
    )


def body_of(name: str, at: int, data: JSON) -> str:
    """What is sent of an event."""
    return dumps({"type": name, "timestamp": iso(at), "data": data})


def ping(endpoint_id: str, caller: Caller, now: int, *, workspace: str) -> DeliveryRow:
    """A delivery that says nothing, for trying whether the endpoint can be reached.

    Raises:
      EndpointNotFound: There is none of this id.
      EndpointDisabled: Nothing is sent to it.
    """
    _enabled(endpoint_id, workspace)
    delivery_id, event_id = new_id("msg"), new_id("evt")
    body = body_of(TEST_NAME, now, {"webhook": endpoint_id})
    row = (delivery_id, workspace, endpoint_id, event_id, TEST_NAME, body, PENDING, 0, 0, now, now)
    DELIVERIES.write([row])
    audit.record(caller, "webhook.tested", endpoint_id, now, workspace=workspace)
    return get(endpoint_id, delivery_id, workspace=workspace)


def get(endpoint_id: str, delivery_id: str, *, workspace: str) -> DeliveryRow:
    """A delivery of an endpoint.

    Raises:
      EndpointNotFound: There is no such endpoint.
      DeliveryNotFound: It has no such delivery.
    """
    get_endpoint(endpoint_id, workspace=workspace)
    mine = (DeliveryRow.id == delivery_id) & (DeliveryRow.endpoint_id == endpoint_id)
    row = DeliveryRow.get_or_none(mine & (DeliveryRow.workspace == workspace))
    if row is None:
        raise DeliveryNotFound(delivery_id)
    return row


def listing(
    endpoint_id: str,
    *,
    workspace: str,
    status: str | None = None,
    before: str | None = None,
    limit: int = 20,
) -> list[DeliveryRow]:
    """Deliveries of an endpoint, newest first, from behind the id ``before``.

    Raises:
      EndpointNotFound: There is no such endpoint.
    """
    get_endpoint(endpoint_id, workspace=workspace)
    rows = DeliveryRow.select().where(DeliveryRow.endpoint_id == endpoint_id)
    if status is not None:
        rows = rows.where(DeliveryRow.status == status)
    if before is not None:
        rows = rows.where(DeliveryRow.id < before)
    return list(rows.order_by(DeliveryRow.id.desc()).limit(limit))


def replay(
    endpoint_id: str, delivery_id: str, caller: Caller, now: int, *, workspace: str
) -> DeliveryRow:
    """Send a delivery again, with the same id; one that still waits is sent at once.

    Raises:
      EndpointNotFound: There is no such endpoint.
      DeliveryNotFound: It has no such delivery.
      EndpointDisabled: Nothing is sent to it.
    """
    _enabled(endpoint_id, workspace)
    row = get(endpoint_id, delivery_id, workspace=workspace)
    _again([row.id], now)
    audit.record(
        caller, "webhook.replayed", endpoint_id, now, change={"deliveries": 1}, workspace=workspace
    )
    return get(endpoint_id, delivery_id, workspace=workspace)


@dataclass(frozen=True, slots=True)
class Range:
    """Deliveries that are to be sent again.

    Attributes:
      since: When the first of them was made, in microseconds.
      until: Before when the last of them was; None for the present.
      delivered: Also what got through; else only what was given up.
    """

    since: int
    until: int | None = None
    delivered: bool = False


def replay_range(
    endpoint_id: str, wanted: Range, caller: Caller, now: int, *, workspace: str
) -> int:
    """Send again, in the order of the events, all of a range that is over; how many.

    Raises:
      EndpointNotFound: There is no such endpoint.
      EndpointDisabled: Nothing is sent to it.
    """
    _enabled(endpoint_id, workspace)
    until = now + 1 if wanted.until is None else wanted.until
    statuses = [FAILED, DELIVERED] if wanted.delivered else [FAILED]
    ids = fetch(
        DeliveryRow.select(DeliveryRow.id).where(
            (DeliveryRow.endpoint_id == endpoint_id)
            & DeliveryRow.status.in_(statuses)
            & (DeliveryRow.created_at >= wanted.since)
            & (DeliveryRow.created_at < until)
        )
    )
    _again([row[0] for row in ids], now)
    change = {"deliveries": len(ids)}
    audit.record(caller, "webhook.replayed", endpoint_id, now, change=change, workspace=workspace)
    return len(ids)


def _again(ids: Sequence[str], now: int) -> None:
    for start in range(0, len(ids), 500):
        some = list(ids[start : start + 500])
        # What somebody is sending just now stays with them.
        sending = DeliveryAttemptRow.select(DeliveryAttemptRow.delivery_id).where(
            DeliveryAttemptRow.delivery_id.in_(some) & (DeliveryAttemptRow.outcome == "sending")
        )
        DeliveryRow.update(
            status=PENDING, round_from=DeliveryRow.tries, next_at=now, finished_at=None
        ).where(DeliveryRow.id.in_(some) & DeliveryRow.id.not_in(sending)).execute()


def _enabled(endpoint_id: str, workspace: str) -> None:
    if not get_endpoint(endpoint_id, workspace=workspace).enabled:
        raise EndpointDisabled(endpoint_id)


def as_dict(row: DeliveryRow) -> dict[str, JSON]:
    """A delivery as plain data for JSON."""
    return {
        "id": row.id,
        "webhook": row.endpoint_id,
        "event": row.event_id,
        "name": row.name,
        "status": row.status,
        "tries": row.tries,
        "next_at": iso(row.next_at),
        "created_at": iso(row.created_at),
        "finished_at": iso(row.finished_at),
    }


def detail(row: DeliveryRow) -> dict[str, JSON]:
    """A delivery with what is sent, and its attempts, oldest first."""
    attempts = DeliveryAttemptRow.select().where(DeliveryAttemptRow.delivery_id == row.id)
    return {
        **as_dict(row),
        "body": loads(row.body),
        "attempts": [
            {
                "number": each.number,
                "started_at": iso(each.started_at),
                "ended_at": iso(each.ended_at),
                "outcome": each.outcome,
                "status": each.status,
                "answer": each.answer,
            }
            for each in attempts.order_by(DeliveryAttemptRow.number)
        ],
    }
