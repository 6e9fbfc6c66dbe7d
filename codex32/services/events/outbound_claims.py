"""Who sends which delivery, and what follows from how it went.

Whoever sends a delivery first moves its ``next_at`` beyond the end of the attempt, in one
conditional update: of any number of schedulers one succeeds. Where a sender dies, the delivery is
due again by itself; the attempt whose end nobody knows is then ``unknown``, and the message goes
out once more under the same id. Functions here are called in writes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.kernel.batches import Insert, Update
from codex32.kernel.clock import from_micros
from codex32.kernel.database import announce, fetch, is_sqlite
from codex32.kernel.events import WebhookDisabled
from codex32.kernel.models import database_proxy
from codex32.kernel.outbound_rows import DeliveryAttemptRow, DeliveryRow, EndpointRow
from codex32.services.events.outbound_deliveries import DELIVERED, FAILED, PENDING

SECOND = 1_000_000
#: Pauses between the attempts of a round: three days in all, as Standard Webhooks has it.
PAUSES_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Each pause is longer or shorter by up to so much, that what failed together comes apart.
JITTER = 0.2
#: Longest that ``Retry-After`` is heeded.
LONGEST_WAIT_SECONDS = 86_400
GONE = 410
#: An endpoint to which nothing got through for so long, and now again not, is disabled.
HOPELESS_SECONDS = 5 * 86_400

_CLAIM = Update(
    DeliveryRow,
    keys=("id", "next_at"),
    columns=("next_at", "tries"),
    guard="delivery.status = 'pending'",
)
_ATTEMPTS = Insert(
    DeliveryAttemptRow, ("delivery_id", "number", "sender", "started_at", "outcome", "answer")
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process may send once."""

    id: str
    number: int
    endpoint_id: str
    name: str
    body: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended.

    Attributes:
      outcome: As ``delivery_attempt.outcome`` has it.
      status: Of the answer, if there was one.
      answer: How it began, or what went wrong.
      wait_seconds: How long the endpoint asks to be left alone.
    """

    claim: Claim
    at: int
    outcome: str
    status: int | None = None
    answer: str = ""
    wait_seconds: float | None = None

    @property
    def good(self) -> bool:
        """Whether it got through."""
        return self.outcome == DELIVERED


#: Asked twice a second, so it is one text.
_WITH_DUE = """
SELECT endpoint.id FROM endpoint
    WHERE endpoint.enabled AND (endpoint.resume_at IS NULL OR endpoint.resume_at <= {mark})
        AND EXISTS (SELECT 1 FROM delivery WHERE delivery.endpoint_id = endpoint.id
            AND delivery.status = 'pending' AND delivery.next_at <= {mark})
"""


def with_due(now: int) -> list[EndpointRow]:
    """Endpoints for which something is to be sent; called in a read."""
    text = _WITH_DUE.format(mark="?" if is_sqlite() else "%s")
    ids = [row[0] for row in database_proxy.execute_sql(text, (now, now)).fetchall()]
    return list(EndpointRow.select().where(EndpointRow.id.in_(ids))) if ids else []


def claim(places: Mapping[str, int], now: int, until: int, sender: str) -> list[Claim]:
    """Take deliveries that are due, so many for each endpoint, until a time (microseconds)."""
    found: dict[str, Claim] = {}
    rows: list[tuple[object, ...]] = []
    for endpoint_id, places_left in places.items():
        mine = (DeliveryRow.endpoint_id == endpoint_id) & (DeliveryRow.next_at <= now)
        query = (
            DeliveryRow.select(
                DeliveryRow.id,
                DeliveryRow.tries,
                DeliveryRow.next_at,
                DeliveryRow.name,
                DeliveryRow.body,
            )
            .where(mine & (DeliveryRow.status == pw.SQL("'pending'")))
            .order_by(DeliveryRow.next_at, DeliveryRow.id)
            .limit(places_left)
        )
        for row_id, tries, next_at, name, body in fetch(query):
            found[row_id] = Claim(row_id, tries + 1, endpoint_id, name, body)
            rows.append((until, tries + 1, row_id, next_at))
    ours = [found[row_id] for row_id in sorted(_CLAIM.write(rows))]
    if ours:
        _lost([each.id for each in ours], now)
        _ATTEMPTS.write([(each.id, each.number, sender, now, "sending", "") for each in ours])
    return ours


def _lost(ids: Sequence[str], now: int) -> None:
    """Attempts whose sender has not told how they ended, and will not any more."""
    mine = DeliveryAttemptRow.delivery_id.in_(list(ids))
    DeliveryAttemptRow.update(
        outcome="unknown", ended_at=now, answer="whoever sent it is gone"
    ).where(mine & (DeliveryAttemptRow.outcome == "sending")).execute()


def finish(endings: Sequence[Ending]) -> list[None]:
    """Record how attempts ended, and decide what follows. A batch for ``write_many``."""
    for ending in endings:
        if not _record(ending):
            continue  # another sender has it by now
        if ending.good:
            _delivered(ending)
        else:
            _not_delivered(ending)
    return [None] * len(endings)


def _record(ending: Ending) -> bool:
    """Whether the delivery is still ours; one that got through is over, whoever has it."""
    this = (DeliveryAttemptRow.delivery_id == ending.claim.id) & (
        DeliveryAttemptRow.number == ending.claim.number
    )
    if not ending.good:
        this &= DeliveryAttemptRow.outcome == "sending"
    changed = DeliveryAttemptRow.update(
        outcome=ending.outcome, ended_at=ending.at, status=ending.status, answer=ending.answer
    )
    return bool(changed.where(this).execute())


def _delivered(ending: Ending) -> None:
    this = (DeliveryRow.id == ending.claim.id) & (DeliveryRow.status == PENDING)
    done = DeliveryRow.update(status=DELIVERED, next_at=None, finished_at=ending.at)
    if done.where(this).execute():
        EndpointRow.update(
            delivered=EndpointRow.delivered + 1, failing_since=None, resume_at=None
        ).where(EndpointRow.id == ending.claim.endpoint_id).execute()


def _not_delivered(ending: Ending) -> None:
    row = DeliveryRow.get_or_none(DeliveryRow.id == ending.claim.id)
    endpoint = EndpointRow.get_or_none(EndpointRow.id == ending.claim.endpoint_id)
    if row is None or endpoint is None:
        return  # deleted meanwhile
    since = endpoint.failing_since or ending.at
    values: dict[str, object] = {"failing_since": since}
    pause = _pause(row.tries - row.round_from, ending)
    if pause is None or ending.status == GONE:
        DeliveryRow.update(status=FAILED, next_at=None, finished_at=ending.at).where(
            DeliveryRow.id == row.id
        ).execute()
        values["failed"] = EndpointRow.failed + 1
    else:
        DeliveryRow.update(next_at=ending.at + int(pause * SECOND)).where(
            DeliveryRow.id == row.id
        ).execute()
    if ending.wait_seconds is not None:
        wait = min(ending.wait_seconds, LONGEST_WAIT_SECONDS)
        values["resume_at"] = ending.at + int(wait * SECOND)
    EndpointRow.update(values).where(EndpointRow.id == endpoint.id).execute()
    if ending.status == GONE:
        _disable(endpoint, "gone", ending.at)
    elif ending.at - since > HOPELESS_SECONDS * SECOND:
        _disable(endpoint, "failing", ending.at)


def _pause(tries: int, ending: Ending) -> float | None:
    """Seconds until the next attempt after so many of a round; None where that was the last."""
    if tries > len(PAUSES_SECONDS):
        return None
    pause = PAUSES_SECONDS[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return max(pause, min(ending.wait_seconds or 0, LONGEST_WAIT_SECONDS))


def _disable(endpoint: EndpointRow, because: str, now: int) -> None:
    """Send nothing more to an endpoint, and tell so; what waits goes on once it is enabled."""
    still = (EndpointRow.id == endpoint.id) & EndpointRow.enabled
    values = {"enabled": False, "disabled_because": because, "updated_at": now}
    if EndpointRow.update(values).where(still).execute():
        announce(
            WebhookDisabled(
                at=from_micros(now),
                workspace=endpoint.workspace,
                endpoint=endpoint.id,
                url=endpoint.url,
                because=because,
            )
        )
