"""What the API answers of secrets, connections and the audit log: never a value of a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from codex32.api.models import Out


class SecretOut(Out):
    """A secret, without its value, which nothing ever answers."""

    name: str
    version: int = Field(description="Counts on with every value.")
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(description="Who gave it its value, by name.")
    bots: list[str] = Field(description="Live bots whose `allow` names it.")


class ConnectionOut(Out):
    """A destination that steps reach by name; of its secrets the names alone."""

    name: str
    type: str
    host: str
    port: int | None = Field(description="Null for the usual one of the type.")
    options: dict[str, Any]
    secrets: dict[str, str] = Field(description="What is secret to the name of the secret.")
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(description="Who wrote it last, by name.")


class ActorOut(Out):
    """Who did something."""

    kind: str
    id: str
    name: str


class AuditEntryOut(Out):
    """An entry of the audit log."""

    seq: int
    at: datetime
    actor: ActorOut
    address: str
    request_id: str
    workspace: str | None = Field(description="Null where it concerns the installation.")
    action: str = Field(description="`noun.verb`")
    subject: str
    outcome: Literal["done", "refused"]
    change: Any = Field(description="What is other than before.")
    hash: str = Field(description="HMAC-SHA256 of the hash before and of all that the entry says.")


class VerdictOut(Out):
    """Whether the audit log is whole."""

    entries: int = Field(description="Good ones, until the first that is not.")
    seq: int = Field(description="The last good one; 0 where there is none.")
    hash: str
    broken: int | None = Field(description="The first that is wrong or missing.")
    reason: str
