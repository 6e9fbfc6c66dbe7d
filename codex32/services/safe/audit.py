"""The audit log: who changed what, from where, as a chain that cannot be changed unnoticed.

Each entry's hash is an HMAC-SHA256 of the hash before it and of all that the entry says, so one
that is changed, taken out or put in breaks the chain from there on. An entry is written in the
transaction that makes it true, as its last statement, because the chain has one writer at a time
(docs/decisions/0011-the-audit-log-is-a-chain.md).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from codex32.engine.records import gates
from codex32.kernel.batches import Insert
from codex32.kernel.caller import Caller
from codex32.kernel.database import fetch, write_last
from codex32.kernel.json_values import JSON, canonical, dumps
from codex32.kernel.redaction import scrub
from codex32.kernel.safe_rows import AuditRow
from codex32.services.safe.vault import Vault

#: The hash before the first entry.
START: Final = "0" * 64
#: Characters of JSON that a change may have; of longer ones the size alone is kept.
MAX_CHANGE: Final = 16_384
#: Of the keys.
SCOPE: Final = "audit"

#: What an entry says, in the order of the columns.
COLUMNS: Final = (
    "seq",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "address",
    "request_id",
    "workspace",
    "action",
    "subject",
    "outcome",
    "change",
    "key_id",
)


_ENTRIES = Insert(AuditRow, (*COLUMNS, "hash"), fresh=True)


class Keys(Protocol):
    """Where the keys of the chain are; called inside a write."""

    def current(self, now: int) -> tuple[str, bytes]:
        """The key for new entries, behind its id."""

    def named(self, key_id: str) -> bytes:
        """A key that entries were made with."""


class VaultKeys:
    """Data keys of the vault: they stay when the installation's keys are rotated."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def current(self, now: int) -> tuple[str, bytes]:
        """The present one."""
        number, key = self._vault.present(SCOPE, now)
        return str(number), key

    def named(self, key_id: str) -> bytes:
        """The one of this number.

        Raises:
          KeyMissing: The installation's key ring cannot open it.
          SealBroken: It is gone, or was changed.
        """
        return self._vault.data_key(SCOPE, int(key_id))


_keys: Callable[[], Keys] | None = None


def use(keys: Callable[[], Keys]) -> None:
    """Make entries of this process with these keys; they are asked for with the first entry."""
    global _keys
    _keys = keys


def keys_in_use() -> Keys:
    """The keys of this process."""
    if _keys is None:
        raise RuntimeError("audit.use() must come before the first entry")
    return _keys()


def record(
    caller: Caller,
    action: str,
    subject: str,
    now: int,
    *,
    change: JSON = None,
    workspace: str | None = None,
    outcome: Literal["done", "refused"] = "done",
) -> None:
    """Put down what the present write does; it is called inside the write, like ``announce``.

    Args:
      caller: Who does it.
      action: ``noun.verb``, such as ``bot.created`` or ``session.refused``.
      subject: What it is done to: an id, or a name.
      now: Microseconds.
      change: What is other than before; never the value of a secret.
      workspace: Where it belongs; the caller's, unless something else is said. Empty for what
        concerns the installation.
      outcome: ``refused`` for what was tried and not allowed.
    """
    told = (
        now,
        caller.kind,
        caller.id,
        caller.name,
        caller.address,
        caller.request_id,
        caller.workspace if workspace is None else workspace,
        action,
        scrub(subject),
        outcome,
        _change(change),
    )
    write_last(_append, told)


def _change(change: JSON) -> str | None:
    if change is None:
        return None
    text = scrub(dumps(change))
    return text if len(text) <= MAX_CHANGE else dumps({"too_long": len(text)})


def head() -> tuple[int, str]:
    """Number and hash of the last entry."""
    rows = AuditRow.select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1)
    for seq, last in fetch(rows):  # sealing adds an entry, so one is always left
        return seq, last
    return 0, START


def chained(key: bytes, before: str, told: Sequence[JSON]) -> str:
    """The hash of an entry behind the one whose hash is ``before``; ``told`` as in ``COLUMNS``."""
    text = before + canonical(dict(zip(COLUMNS, told, strict=True)))
    return hmac.digest(key, text.encode(), "sha256").hex()


def _append(entries: Sequence[tuple[JSON, ...]]) -> None:
    gates.lock(SCOPE)  # until the commit; on SQLite the transaction holds everything
    key_id, key = keys_in_use().current(int(entries[0][0]))
    seq, last = head()
    rows = []
    for entry in entries:
        seq += 1
        told = (seq, *entry, key_id)
        last = chained(key, last, told)
        rows.append((*told, last))
    _ENTRIES.write(rows)
