"""What the API answers of outbound webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from codex32.api.models import Out


class WebhookOut(Out):
    """An outbound webhook, without its secret."""

    id: str
    url: str
    description: str
    events: list[str]
    enabled: bool
    disabled_because: Literal["gone", "failing"] | None = Field(
        description="Why the house disabled it: it answered 410, or nothing got through for days."
    )
    failing_since: datetime | None
    resume_at: datetime | None = Field(description="It asked not to be told anything before.")
    delivered: int = Field(description="Deliveries that got through.")
    failed: int = Field(description="Deliveries that were given up.")
    created_at: datetime
    updated_at: datetime


class WebhookMadeOut(WebhookOut):
    """A new outbound webhook with its secret."""

    secret: str = Field(description="Signs what is sent. It is never shown again.")


class SecretShownOut(Out):
    """A new secret."""

    secret: str = Field(description="It is never shown again.")


class DeliveryOut(Out):
    """One event for one webhook."""

    id: str = Field(description="The `webhook-id`, the same at every attempt.")
    webhook: str
    event: str = Field(description="The event's id.")
    name: str
    status: Literal["pending", "delivered", "failed"]
    tries: int
    next_at: datetime | None = Field(description="When it is tried next.")
    created_at: datetime
    finished_at: datetime | None


class AttemptOut(Out):
    """One sending."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: Literal[
        "sending",
        "delivered",
        "refused",
        "unreachable",
        "cut",
        "timeout",
        "forbidden",
        "unsigned",
        "unknown",
    ]
    status: int | None = Field(description="Of the answer.")
    answer: str = Field(description="How it began, or what went wrong.")


class DeliveryDetail(DeliveryOut):
    """A delivery with what is sent."""

    body: Any
    attempts: list[AttemptOut]


class ReplayedOut(Out):
    """What came of a replay."""

    deliveries: int
