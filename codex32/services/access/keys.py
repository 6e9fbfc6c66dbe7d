"""API keys: programs' access to one workspace, never more than their owners may there.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from codex32.kernel.account_rows import ApiKeyRow
from codex32.kernel.caller import Caller
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.permissions import PERMISSIONS, Level
from codex32.kernel.text import did_you_mean
from codex32.services.access.faults import KeyNotFound, ScopesRefused
from codex32.services.access.tokens import Key, digest
from codex32.services.presentation import iso
from codex32.services.safe import audit

DEFAULT_DAYS, MAX_DAYS = 90, 366
#: How exactly it is known when a key was last used.
TOUCH_MICROS = 60_000_000
#: What no key may do, whatever its owner may: give rights to others, or to more keys.
_NEVER = frozenset({"members.write", "keys.manage"})
#: What a key may be given.
SCOPES = (
    frozenset(name for name, each in PERMISSIONS.items() if each.level is Level.WORKSPACE) - _NEVER
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made. Times in microseconds.

    Attributes:
      account_id: Whose rights bound it.
      scopes: Permissions that it shall have.
    """

    workspace: str
    account_id: str
    name: str
    scopes: Sequence[str]
    expires_at: int
    id: str = field(default_factory=lambda: new_id("key"))
    key: Key = field(default_factory=Key.new)


def create(new: NewKey, allowed: frozenset[str] | None, caller: Caller, now: int) -> ApiKeyRow:
    """Make a key.

    Args:
      new: What it shall be.
      allowed: What its owner may do in the workspace; None: everything.
      caller: Who makes it.
      now: Microseconds.

    Raises:
      ScopesRefused: It would have what its owner has not, or what no key may have.
    """
    _check_scopes(new.scopes, allowed)
    made = ApiKeyRow.get_or_none(ApiKeyRow.id == new.id)
    if made is not None:
        return made  # a commit whose answer was lost
    scopes = sorted(set(new.scopes))
    ApiKeyRow.insert(
        id=new.id,
        prefix=new.key.prefix,
        digest=digest(new.key.secret),
        workspace=new.workspace,
        account_id=new.account_id,
        name=new.name,
        scopes=dumps(scopes),
        created_at=now,
        expires_at=new.expires_at,
    ).execute()
    told = {"name": new.name, "prefix": new.key.prefix, "scopes": scopes, "owner": new.account_id}
    audit.record(caller, "key.created", new.id, now, change=told, workspace=new.workspace)
    return get(new.id)


def _check_scopes(scopes: Iterable[str], allowed: frozenset[str] | None) -> None:
    for scope in scopes:
        if scope not in SCOPES:
            hint = did_you_mean(scope, SCOPES)
            raise ScopesRefused(f"no key can have the scope {scope!r}{hint}")
        if allowed is not None and scope not in allowed:
            raise ScopesRefused(f"the key's owner has no permission {scope} in this workspace")


def get(key_id: str) -> ApiKeyRow:
    """The key with this id.

    Raises:
      KeyNotFound: There is none.
    """
    row = ApiKeyRow.get_or_none(ApiKeyRow.id == key_id)
    if row is None:
        raise KeyNotFound(key_id)
    return row


def scopes_of(row: ApiKeyRow) -> frozenset[str]:
    """What a key was given."""
    return frozenset(json.loads(row.scopes))


def listing(
    *,
    account_id: str | None = None,
    workspace: str | None = None,
    revoked: bool = False,
    limit: int,
    before: str | None = None,
) -> list[ApiKeyRow]:
    """Keys of an account, of a workspace, or of both; newest first, behind the one ``before``."""
    found = ApiKeyRow.select().order_by(ApiKeyRow.id.desc()).limit(limit)
    if account_id is not None:
        found = found.where(ApiKeyRow.account_id == account_id)
    if workspace is not None:
        found = found.where(ApiKeyRow.workspace == workspace)
    if before is not None:
        found = found.where(ApiKeyRow.id < before)
    return list(found if revoked else found.where(ApiKeyRow.revoked_at.is_null()))


def as_dict(row: ApiKeyRow) -> dict[str, JSON]:
    """A key as plain data for JSON; its secret is in no row."""
    return {
        "id": row.id,
        "prefix": f"cx32_key_{row.prefix}",
        "name": row.name,
        "workspace": row.workspace,
        "owner": row.account_id,
        "scopes": sorted(scopes_of(row)),
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "last_used_at": iso(row.last_used_at),
        "revoked_at": iso(row.revoked_at),
    }


def revoke(
    key_id: str,
    caller: Caller,
    now: int,
    *,
    account_id: str | None = None,
    workspace: str | None = None,
) -> None:
    """Revoke a key of this account, or of this workspace.

    Raises:
      KeyNotFound: They have none of this id.
    """
    row = get(key_id)
    if account_id not in (None, row.account_id) or workspace not in (None, row.workspace):
        raise KeyNotFound(key_id)
    if _revoke(ApiKeyRow.id == key_id, now):
        audit.record(caller, "key.revoked", key_id, now, workspace=row.workspace)


def revoke_of(account_id: str, workspace: str, now: int) -> None:
    """Revoke all keys of an account for a workspace that it leaves."""
    _revoke((ApiKeyRow.account_id == account_id) & (ApiKeyRow.workspace == workspace), now)


def delete_of(account_id: str) -> None:
    """Delete all keys of an account that goes; what they did stays in the audit log."""
    ApiKeyRow.delete().where(ApiKeyRow.account_id == account_id).execute()


def _revoke(which: Any, now: int) -> int:
    open_ = which & ApiKeyRow.revoked_at.is_null()
    return int(ApiKeyRow.update(revoked_at=now).where(open_).execute())


def touch(used: Sequence[tuple[str, int]]) -> Sequence[None]:
    """Note when keys were used: pairs of id and microseconds, for ``Door.post``."""
    for key_id, now in used:
        ApiKeyRow.update(last_used_at=now).where(ApiKeyRow.id == key_id).execute()
    return [None] * len(used)
