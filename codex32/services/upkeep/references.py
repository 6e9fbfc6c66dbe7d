"""Rows that name others which are not there, and definitions that are not what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import peewee as pw

from codex32.kernel.account_rows import (
    AccountRow,
    ApiKeyRow,
    IdentityRow,
    MemberRow,
    OneTimeTokenRow,
    RefreshTokenRow,
    SessionRow,
    WorkspaceRow,
)
from codex32.kernel.alert_rows import AlertRow, AlertRuleRow
from codex32.kernel.building_rows import BuildRow
from codex32.kernel.database import fetch
from codex32.kernel.models import (
    BotRow,
    ExecutionRow,
    Row,
    SeenRow,
    StateRow,
    TriggerRow,
    VersionRow,
    WebhookPathRow,
)
from codex32.kernel.outbound_rows import DeliveryAttemptRow, DeliveryRow, EndpointRow
from codex32.kernel.retrieval_rows import ChunkRow, CollectionRow, DocumentRow, EmbeddingRow
from codex32.kernel.safe_rows import ConnectionRow, DataKeyRow, SecretRow

#: Versions whose digests are compared with one query.
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that names a row of another table, by that one's key."""

    row: type[Row]
    column: pw.Field | pw.Function
    target: pw.Field
    message: str

    @property
    def broken(self) -> pw.ModelSelect[Row]:
        """What the rows name that is not there, each once."""
        there = self.target.model.select(pw.SQL("1")).where(self.target == self.column)
        gone = self.column.is_null(False) & ~pw.fn.EXISTS(there)
        return self.row.select(self.column).where(gone).distinct()


def _of(row: type[Row], column: pw.Field | pw.Function, target: pw.Field, what: str) -> Reference:
    owner = target.model._meta.table_name.replace("_", " ")
    return Reference(row, column, target, f"{what} of a {owner} that is not there")


#: Executions and what hangs on them are looked after in :mod:`codex32.services.upkeep.integrity`.
REFERENCES: Sequence[Reference] = (
    _of(VersionRow, VersionRow.bot_id, BotRow.id, "versions"),
    Reference(
        BotRow,
        BotRow.pending_version_id,
        VersionRow.id,
        "bots that wait for the approval of versions that are not there; send them again",
    ),
    _of(StateRow, StateRow.bot_id, BotRow.id, "state"),
    _of(SeenRow, SeenRow.bot_id, BotRow.id, "seen keys"),
    _of(AlertRow, pw.fn.NULLIF(AlertRow.bot_id, ""), BotRow.id, "alerts"),
    _of(AlertRow, AlertRow.owner_id, BotRow.id, "alerts"),
    _of(AlertRuleRow, AlertRuleRow.owner_id, BotRow.id, "alerts about other bots"),
    _of(WebhookPathRow, WebhookPathRow.trigger_id, TriggerRow.id, "webhook paths"),
    _of(BotRow, BotRow.workspace, WorkspaceRow.name, "bots"),
    _of(ExecutionRow, ExecutionRow.workspace, WorkspaceRow.name, "executions"),
    _of(SecretRow, SecretRow.workspace, WorkspaceRow.name, "secrets"),
    _of(ConnectionRow, ConnectionRow.workspace, WorkspaceRow.name, "connections"),
    _of(EndpointRow, EndpointRow.workspace, WorkspaceRow.name, "outbound webhooks"),
    _of(MemberRow, MemberRow.workspace, WorkspaceRow.name, "members"),
    _of(MemberRow, MemberRow.account_id, AccountRow.id, "memberships"),
    _of(AccountRow, pw.fn.NULLIF(AccountRow.home, ""), WorkspaceRow.name, "homes"),
    _of(BuildRow, BuildRow.workspace, WorkspaceRow.name, "builder sessions"),
    _of(IdentityRow, IdentityRow.account_id, AccountRow.id, "identities"),
    _of(SessionRow, SessionRow.account_id, AccountRow.id, "sessions"),
    _of(RefreshTokenRow, RefreshTokenRow.session_id, SessionRow.id, "refresh tokens"),
    _of(OneTimeTokenRow, OneTimeTokenRow.account_id, AccountRow.id, "one-time tokens"),
    _of(ApiKeyRow, ApiKeyRow.account_id, AccountRow.id, "keys"),
    _of(ApiKeyRow, ApiKeyRow.workspace, WorkspaceRow.name, "keys"),
    _of(CollectionRow, CollectionRow.workspace, WorkspaceRow.name, "collections"),
    _of(DocumentRow, DocumentRow.collection_id, CollectionRow.id, "documents"),
    _of(ChunkRow, ChunkRow.document_id, DocumentRow.id, "chunks"),
    _of(ChunkRow, ChunkRow.collection_id, CollectionRow.id, "chunks"),
    _of(EmbeddingRow, EmbeddingRow.collection_id, CollectionRow.id, "vectors"),
    _of(DeliveryRow, DeliveryRow.endpoint_id, EndpointRow.id, "deliveries"),
    _of(DeliveryAttemptRow, DeliveryAttemptRow.delivery_id, DeliveryRow.id, "attempts"),
)


def unsealable() -> list[tuple[pw.ModelSelect[Any], str, str]]:
    """What was sealed with a data key that is not there; whether the rest opens, the keys tell."""
    number = DataKeyRow.number.cast("TEXT").concat(":")
    begins = pw.fn.SUBSTR(EndpointRow.secrets, 1, pw.fn.LENGTH(number)) == number
    of_secrets = (DataKeyRow.scope == pw.Value("workspace:").concat(SecretRow.workspace)) & (
        DataKeyRow.number == SecretRow.data_key
    )
    of_endpoints = begins & (
        DataKeyRow.scope == pw.Value("webhooks:").concat(EndpointRow.workspace)
    )
    return [
        (
            SecretRow.select(SecretRow.name).where(~_any_key(of_secrets)),
            "secret",
            "secrets whose data key is not there, so that they never open again; set them anew",
        ),
        (
            EndpointRow.select(EndpointRow.id).where(~_any_key(of_endpoints)),
            "endpoint",
            "outbound webhooks whose data key is not there; give them another secret",
        ),
    ]


def _any_key(same: pw.Expression) -> pw.Function:
    return pw.fn.EXISTS(DataKeyRow.select(pw.SQL("1")).where(same))


def strangers() -> pw.ModelSelect[BotRow]:
    """Bots whose live or waiting version is another bot's."""
    version = VersionRow.select(pw.SQL("1")).where(
        (
            (VersionRow.id == BotRow.active_version_id)
            | (VersionRow.id == BotRow.pending_version_id)
        )
        & (VersionRow.bot_id != BotRow.id)
    )
    return BotRow.select(BotRow.id).where(pw.fn.EXISTS(version))


def damaged() -> Iterator[str]:
    """Ids of versions whose definition is not the one that was stored; reads all of them."""
    after = ""
    columns = VersionRow.id, VersionRow.digest, VersionRow.document
    while rows := fetch(
        VersionRow.select(*columns)
        .where(VersionRow.id > after)
        .order_by(VersionRow.id)
        .limit(_PAGE)
    ):
        for version_id, digest, document in rows:
            if hashlib.sha256(document.encode()).hexdigest() != digest:
                yield version_id
        after = rows[-1][0]
