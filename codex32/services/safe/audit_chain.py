"""Going over the audit log, entry by entry, and saying where it is broken.

A chain whose end was cut off looks whole from within. So its head is noted from time to time
where the database does not reach (an *anchor*), and what an anchor names must be there.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import peewee as pw

from codex32.kernel.database import fetch
from codex32.kernel.json_values import JSON, canonical
from codex32.kernel.safe_rows import AuditRow, AuditSealRow
from codex32.services.safe import audit
from codex32.services.safe.vault import SealBroken

_PAGE = 1000
#: What a seal says, in order.
SEALED = ("last_seq", "first_seq", "hash", "digest", "at", "key_id")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the chain as it was noted outside: an entry's number and hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What going over the log found.

    Attributes:
      entries: How many were good, until the first that is not.
      seq: The last good one; 0 where there is none.
      hash: Of the last good one.
      broken: Number of the first entry that is wrong or missing; None where all is well.
      reason: What is wrong with it.
    """

    entries: int
    seq: int
    hash: str
    broken: int | None = None
    reason: str = ""


def verify(anchors: Sequence[Anchor] = ()) -> Verdict:
    """Go over the whole log, called through ``Door.read``; it reads every entry.

    Args:
      anchors: Heads that were noted outside of the database.

    Raises:
      KeyMissing: The key ring cannot open the log's keys.
    """
    keys = _Known(audit.keys_in_use())
    noted = {each.seq: each.hash for each in anchors}
    entries, (seq, last, fault) = 0, _seals(keys)
    if fault:
        return Verdict(0, 0, audit.START, seq, fault)
    for number, *told, found in _rows(seq):
        if number != seq + 1:
            return Verdict(entries, seq, last, seq + 1, "it is missing")
        if reason := _wrong(keys, last, (number, *told), found, noted.get(number)):
            return Verdict(entries, seq, last, number, reason)
        entries, seq, last = entries + 1, number, found
    beyond = min((each for each in noted if each > seq), default=None)
    if beyond is not None:
        reason = f"it is missing: entry {beyond} was there once, by an anchor outside the database"
        return Verdict(entries, seq, last, seq + 1, reason)
    return Verdict(entries, seq, last)


class _Known:
    """Keys, each opened once."""

    def __init__(self, keys: audit.Keys) -> None:
        self.named = cache(keys.named)


def _wrong(keys: _Known, before: str, told: Sequence[JSON], found: str, noted: str | None) -> str:
    try:
        key = keys.named(told[-1])
    except (SealBroken, ValueError):
        return "the key it names is not there, or was changed"
    if not hmac.compare_digest(audit.chained(key, before, told), found):
        return "it is not as it was written, or one before it was taken out"
    if noted is not None and noted != found:
        return "it is another than an anchor outside the database says"
    return ""


def _seals(keys: _Known) -> tuple[int, str, str]:
    """Where the chain goes on behind what was exported, and what is wrong with that."""
    seq, last = 0, audit.START
    query = AuditSealRow.select(*(AuditSealRow._meta.fields[name] for name in SEALED))
    for *told, mac in fetch(query.select_extend(AuditSealRow.mac).order_by(AuditSealRow.last_seq)):
        key = keys.named(told[-1])
        if not hmac.compare_digest(sealed(key, told), mac):
            return seq + 1, last, "the seal of the exported part that holds it is not genuine"
        if told[1] != seq + 1:
            return seq + 1, last, "it is missing between two exported parts"
        seq, last = told[0], told[2]
    return seq, last, ""


def sealed_until() -> int:
    """The last entry that was exported and sealed; 0 where none was."""
    last: int | None = AuditSealRow.select(pw.fn.MAX(AuditSealRow.last_seq)).scalar()
    return last or 0


def sealed(key: bytes, told: Sequence[JSON]) -> str:
    """The code that makes a seal genuine; ``told`` is all that it says, in order."""
    text = canonical(dict(zip(SEALED, told, strict=True)))
    return hmac.new(key, f"seal{text}".encode(), "sha256").hexdigest()


def _rows(behind: int) -> Iterator[Sequence[Any]]:
    columns = [AuditRow._meta.fields[name] for name in (*audit.COLUMNS, "hash")]
    while True:
        query = AuditRow.select(*columns).where(AuditRow.seq > behind).order_by(AuditRow.seq)
        page = fetch(query.limit(_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        behind = page[-1][0]
