"""The secrets of workspaces: written, never read out but by the executions that use them.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from codex32.kernel.caller import Caller
from codex32.kernel.database import fetch
from codex32.kernel.errors import Codex32Error, SecretNotFound
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow, VersionRow
from codex32.kernel.problems import Problem
from codex32.kernel.safe_rows import SecretRow
from codex32.services.presentation import iso
from codex32.services.safe import audit
from codex32.services.safe.vault import SealBroken, Vault, lock, seal, unseal

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
#: Bytes of UTF-8 a value may have.
MAX_BYTES = 64 * 1024


class SecretInvalid(Codex32Error):
    """A name or a value that no secret can have; the message never shows the value."""

    code = "secret-invalid"


#: Takes the tag of what is there, or None where nothing is; raises if that is not as demanded.
Demand: TypeAlias = Callable[[str | None], None]


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret as people see it.

    Attributes:
      version: Counts on with every value.
      updated_by: Who gave it its value, by name.
      bots: The live bots whose ``allow`` names it.
    """

    name: str
    version: int
    created_at: int
    updated_at: int
    updated_by: str
    bots: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """Another for each value, also of one that was deleted and written anew."""
        return _tag(self)

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON; nothing of the value."""
        return {
            "name": self.name,
            "version": self.version,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "updated_by": self.updated_by,
            "bots": list(self.bots),
        }


def write(
    vault: Vault,
    name: str,
    value: str,
    caller: Caller,
    now: int,
    *,
    workspace: str,
    given: Demand | None = None,
) -> SecretView:
    """Give a secret its value, new or another; steps that ask from now on get it.

    ``given`` is asked first whether what is there now may be changed.

    Raises:
      SecretInvalid: No secret is called so, or has such a value.
      KeyMissing: The key ring lacks what the workspace's secrets are sealed with.
    """
    raw = _checked(name, value)
    scope = _scope(workspace)
    lock(scope)
    before = SecretRow.get_or_none(_this(workspace, name))
    if given is not None:
        given(None if before is None else _tag(before))
    version = 1 if before is None else before.version + 1
    number, key = vault.present(scope, now)
    values = {
        "version": version,
        "data_key": number,
        "sealed": seal(key, raw, _about(workspace, name, version)),
        "updated_at": now,
        "updated_by": caller.name,
    }
    if before is None:
        SecretRow.insert(workspace=workspace, name=name, created_at=now, **values).execute()
    else:
        SecretRow.update(**values).where(_this(workspace, name)).execute()
    action = "secret.created" if before is None else "secret.changed"
    audit.record(caller, action, name, now, change={"version": version}, workspace=workspace)
    return get(name, workspace=workspace)


def delete(
    name: str, caller: Caller, now: int, *, workspace: str, given: Demand | None = None
) -> None:
    """Remove a secret; steps that ask for it from now on fail, unless another store knows it.

    ``given`` is asked as in :func:`write`.

    Raises:
      SecretNotFound: There is none of this name.
    """
    if given is not None:
        lock(_scope(workspace))
        before = SecretRow.get_or_none(_this(workspace, name))
        given(None if before is None else _tag(before))
    if not SecretRow.delete().where(_this(workspace, name)).execute():
        raise SecretNotFound(name)
    audit.record(caller, "secret.deleted", name, now, workspace=workspace)


def get(name: str, *, workspace: str) -> SecretView:
    """One secret, without its value.

    Raises:
      SecretNotFound: There is none of this name.
    """
    for view in _views([_this(workspace, name)], 1, workspace):
        return view
    raise SecretNotFound(name)


def listing(*, workspace: str, after: str | None = None, limit: int = 100) -> list[SecretView]:
    """Secrets by name, without their values.

    Args:
      workspace: Whose.
      after: Only those behind this name: the last one of the page before.
      limit: Most of them.
    """
    chosen = [SecretRow.workspace == workspace]
    if after is not None:
        chosen.append(SecretRow.name > after)
    return _views(chosen, limit, workspace)


def read(vault: Vault, name: str, *, workspace: str) -> str | None:
    """The value, for the engine alone; None where the workspace has no such secret.

    Raises:
      KeyMissing: The key ring lacks what it is sealed with.
      SealBroken: The row was changed, or stands where it does not belong.
    """
    columns = (SecretRow.version, SecretRow.data_key, SecretRow.sealed)
    for version, number, sealed in fetch(SecretRow.select(*columns).where(_this(workspace, name))):
        key = vault.data_key(_scope(workspace), number)
        about = _about(workspace, name, version)
        return unseal(key, sealed, about, f"the secret {name}").decode()
    return None


def rekey(vault: Vault, caller: Caller, now: int, *, workspace: str) -> int:
    """Seal all secrets of a workspace anew, with a new data key; how many there were.

    Raises:
      KeyMissing: The key ring lacks what they are sealed with.
      SealBroken: One of them was changed; delete it or write it anew first.
    """
    scope = _scope(workspace)
    lock(scope)
    rows = list(SecretRow.select().where(SecretRow.workspace == workspace))
    if not rows:
        return 0
    number, key = vault.renew(scope, now)
    for row in rows:
        about = _about(workspace, row.name, row.version)
        old = vault.data_key(scope, row.data_key)
        raw = unseal(old, row.sealed, about, f"the secret {row.name}")
        SecretRow.update(data_key=number, sealed=seal(key, raw, about)).where(
            _this(workspace, row.name)
        ).execute()
    vault.forget(scope, number)
    audit.record(caller, "secrets.rekeyed", workspace, now, workspace=workspace)
    return len(rows)


def rotate(vault: Vault, caller: Caller, now: int) -> int:
    """Seal all data keys with the present key of the ring; how many were not.

    Raises:
      KeyMissing: The ring lacks a key that one of them is sealed with.
    """
    count = vault.rewrap()
    if count:
        key_id = vault.source.ring(make=False).current
        audit.record(
            caller, "keys.rotated", key_id, now, change={"data_keys": count}, workspace=""
        )
    return count


def workspaces() -> list[str]:
    """The workspaces that have secrets."""
    return [name for (name,) in fetch(SecretRow.select(SecretRow.workspace).distinct())]


def check(vault: Vault) -> list[Problem]:
    """Every secret that does not open, over all workspaces."""
    found = []
    for row in SecretRow.select().order_by(SecretRow.workspace, SecretRow.name):
        try:
            read(vault, row.name, workspace=row.workspace)
        except SealBroken as error:
            found.append(Problem(error.message, f"{row.workspace}/{row.name}", code=error.code))
    return found


def wanted(what: str = "secrets", *, workspace: str) -> dict[str, list[str]]:
    """The names that live bots of the workspace may use, each with the bots.

    Args:
      what: The key of ``allow`` that lists them.
      workspace: Whose bots.
    """
    mine = (BotRow.workspace == workspace) & BotRow.removed_at.is_null()
    live = (
        BotRow.select(BotRow.name, VersionRow.document)
        .join(VersionRow, on=(BotRow.active_version_id == VersionRow.id))
        # Most bots name none; only of the others the document is read.
        .where(mine & VersionRow.document.contains(f'"{what}"'))
        .order_by(BotRow.name)
    )
    users: dict[str, list[str]] = {}
    for bot, document in fetch(live):
        for name in loads(document).get("allow", {}).get(what, ()):
            users.setdefault(name, []).append(bot)
    return users


def _views(chosen: Sequence[object], limit: int, workspace: str) -> list[SecretView]:
    rows = SecretRow.select().where(*chosen).order_by(SecretRow.name).limit(limit)
    found = list(rows)
    users: Mapping[str, Iterable[str]] = wanted(workspace=workspace) if found else {}
    return [
        SecretView(
            name=row.name,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
            updated_by=row.updated_by,
            bots=tuple(users.get(row.name, ())),
        )
        for row in found
    ]


def _checked(name: str, value: str) -> bytes:
    if not NAME.fullmatch(name):
        raise SecretInvalid(
            "a secret's name has 1 to 128 letters, digits, _ or -, and begins with a letter or _"
        )
    raw = value.encode(errors="surrogatepass")
    if not raw or len(raw) > MAX_BYTES:
        raise SecretInvalid(
            f"the value of {name} must have 1 to {MAX_BYTES} bytes; it has {len(raw)}"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SecretInvalid(f"the value of {name} is no UTF-8 text; give it in base64") from None
    return raw


def _tag(secret: SecretView | SecretRow) -> str:
    return f"{secret.version}-{secret.updated_at}"


def _scope(workspace: str) -> str:
    return f"workspace:{workspace}"


def _about(workspace: str, name: str, version: int) -> tuple[str | int, ...]:
    return ("secret", workspace, name, version)


def _this(workspace: str, name: str) -> object:
    return (SecretRow.workspace == workspace) & (SecretRow.name == name)
