"""Reading the audit log, and moving its oldest part into a file.

What is moved out is sealed: a row that stays says which entries they were, where the chain goes on
and what the file's digest is. Only then does the database let them go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import peewee as pw

from codex32.engine.records import gates
from codex32.kernel.account_rows import ApiKeyRow
from codex32.kernel.caller import Caller
from codex32.kernel.database import fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.redaction import scrub
from codex32.kernel.safe_rows import AuditRow, AuditSealRow
from codex32.services.presentation import iso
from codex32.services.safe import audit, audit_chain

#: Entries that are read, or let go, at once.
PAGE = 1000


class AuditBroken(Codex32Error):
    """The audit log is not whole, so no part of it is sealed."""

    code = "audit-broken"


class SealRefused(Codex32Error):
    """A part of the audit log cannot be sealed as asked; the message says why."""

    code = "seal-refused"


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries, newest first.

    Attributes:
      workspace: Only its own; None for all, and for what concerns the installation.
      action: ``noun.verb``, or ``noun`` for all that became of such things.
      actor: An actor's id or name; of a person, also what her keys did.
      since: Only entries of this time or later, in microseconds.
      until: Only entries before this time.
      before: Only entries with a smaller number: the last one of the page before.
      first: Only entries with this number or a larger one.
    """

    workspace: str | None = None
    action: str | None = None
    subject: str | None = None
    actor: str | None = None
    outcome: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    first: int = 0
    limit: int = 20


def listing(query: Query) -> list[AuditRow]:
    """The entries that ``query`` asks for."""
    rows = _narrowed(AuditRow.select(), query).order_by(AuditRow.seq.desc())
    return list(rows.limit(query.limit))


def beginning(workspace: str) -> int:
    """The entry with which a workspace of this name was made last; 0 for the one that always was.

    The log outlives workspaces, and one that is made anew under a name must not read what was
    written of another. Entries leave the log oldest first, so those of a former one leave before.
    """
    # It is sought among what was done to the workspace, which is little: written so, the index of
    # all that was done within it is of no use.
    within = AuditRow.workspace.concat("") == workspace
    made = (AuditRow.subject == scrub(workspace)) & (AuditRow.action == "workspace.created")
    last: int | None = AuditRow.select(pw.fn.MAX(AuditRow.seq)).where(made & within).scalar()
    return last or 0


def oldest_first(query: Query) -> Iterator[AuditRow]:
    """All entries that ``query`` asks for, a page at a time; ``before`` and ``limit`` are left."""
    behind = 0
    while True:
        rows = _narrowed(AuditRow.select(), query).where(AuditRow.seq > behind)
        page = list(rows.order_by(AuditRow.seq).limit(PAGE))
        yield from page
        if len(page) < PAGE:
            return
        behind = page[-1].seq


def _narrowed(rows: pw.ModelSelect[AuditRow], query: Query) -> pw.ModelSelect[AuditRow]:
    if query.workspace is not None:
        rows = rows.where(AuditRow.workspace == query.workspace)
    if query.action is not None:
        among = (AuditRow.action == query.action) | AuditRow.action.startswith(f"{query.action}.")
        rows = rows.where(among)
    if query.actor is not None:
        rows = rows.where(_by(query.actor))
    for column, wanted in ((AuditRow.subject, query.subject), (AuditRow.outcome, query.outcome)):
        if wanted is not None:
            rows = rows.where(column == wanted)
    if query.since is not None:
        rows = rows.where(AuditRow.at >= query.since)
    if query.until is not None:
        rows = rows.where(AuditRow.at < query.until)
    if query.first:
        rows = rows.where(AuditRow.seq >= query.first)
    return rows if query.before is None else rows.where(AuditRow.seq < query.before)


def _by(actor: str) -> pw.Expression:
    """What an actor did; a person does what her keys do, which are named after her."""
    hers = ApiKeyRow.select(ApiKeyRow.id).where(ApiKeyRow.account_id == actor)
    named = (AuditRow.actor_name == actor) | AuditRow.actor_name.startswith(f"{actor} (key ")
    return (AuditRow.actor_id == actor) | AuditRow.actor_id.in_(hers) | named


def as_dict(row: AuditRow) -> dict[str, JSON]:
    """An entry as plain data for JSON."""
    return {
        "seq": row.seq,
        "at": iso(row.at),
        "actor": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
        "address": row.address,
        "request_id": row.request_id,
        "workspace": row.workspace or None,
        "action": row.action,
        "subject": row.subject,
        "outcome": row.outcome,
        "change": None if row.change is None else loads(row.change),
        "hash": row.hash,
    }


def line(row: AuditRow) -> str:
    """An entry as it is exported: all columns as they stand, one JSON object."""
    return dumps({name: getattr(row, name) for name in (*audit.COLUMNS, "hash")})


@dataclass(frozen=True, slots=True)
class Part:
    """The oldest entries, as they were written to a file.

    Attributes:
      digest: SHA-256 of the file.
    """

    first: int
    last: int
    hash: str
    digest: str


def sealable(until: int, anchors: list[audit_chain.Anchor]) -> Query:
    """What to export so that it can be sealed: all entries before ``until`` (microseconds).

    Raises:
      AuditBroken: The log is not whole.
    """
    verdict = audit_chain.verify(anchors)
    if verdict.broken is not None:
        raise AuditBroken(f"entry {verdict.broken} of the audit log: {verdict.reason}")
    return Query(until=until)


def seal(part: Part, caller: Caller, now: int) -> None:
    """Put down that a part was exported; from then on the database lets its entries go.

    Raises:
      SealRefused: The part is not what comes next, or not what stands there.
    """
    gates.lock(audit.SCOPE)
    sealed = audit_chain.sealed_until()
    there = AuditRow.get_or_none(AuditRow.seq == part.last)
    if part.first != sealed + 1 or there is None or there.hash != part.hash:
        raise SealRefused(
            f"entries {part.first} to {part.last} do not follow the last seal, which ends at "
            f"{sealed}; export them anew"
        )
    key_id, key = audit.keys_in_use().current(now)
    told = (part.last, part.first, part.hash, part.digest, now, key_id)
    AuditSealRow.insert(
        **dict(zip(audit_chain.SEALED, told, strict=True)), mac=audit_chain.sealed(key, told)
    ).execute()
    change = {"first": part.first, "last": part.last, "sha256": part.digest}
    audit.record(caller, "audit.sealed", str(part.last), now, change=change, workspace="")


def let_go(last: int) -> int:
    """Remove some sealed entries up to ``last``; how many. Call it until there is none left."""
    old = AuditRow.select(AuditRow.seq).where(AuditRow.seq <= last).order_by(AuditRow.seq)
    return int(AuditRow.delete().where(AuditRow.seq.in_(old.limit(PAGE))).execute())


def genuine(content: bytes) -> tuple[int, int] | None:
    """Numbers of the first and last entry of an exported file, or None where no seal is its own.

    Only asked after :func:`audit_chain.verify` has found the seals to be genuine.
    """
    digest = hashlib.sha256(content).hexdigest()
    columns = (AuditSealRow.first_seq, AuditSealRow.last_seq)
    for first, last in fetch(AuditSealRow.select(*columns).where(AuditSealRow.digest == digest)):
        return first, last
    return None


def exported(rows: Iterator[AuditRow], write: Any) -> Part | None:
    """Write entries with ``write(bytes)``, a line each; what was written, if anything was."""
    digest, first, last = hashlib.sha256(), None, None
    for row in rows:
        text = f"{line(row)}\n".encode()
        digest.update(text)
        write(text)
        first, last = first or row.seq, row
    if first is None or last is None:
        return None
    return Part(first, last.seq, last.hash, digest.hexdigest())
