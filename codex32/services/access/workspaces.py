"""Workspaces, and who belongs to them as what.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from codex32.kernel.account_rows import AccountRow, MemberRow, WorkspaceRow
from codex32.kernel.caller import Caller
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ROWS, BotRow, ExecutionRow, RateRow
from codex32.kernel.outbound_rows import DeliveryAttemptRow, DeliveryRow, EndpointRow
from codex32.kernel.permissions import Role
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.kernel.safe_rows import AuditRow, ConnectionRow, DataKeyRow, SecretRow
from codex32.kernel.spending_rows import BudgetRow, ModelAttemptRow
from codex32.services.access import accounts, keys
from codex32.services.access.faults import (
    AccountNotFound,
    MemberNotFound,
    WorkspaceInUse,
    WorkspaceNotFound,
    WorkspaceTaken,
)
from codex32.services.presentation import iso
from codex32.services.safe import audit

#: Where everything is unless something else is said; it cannot be deleted.
DEFAULT = "default"
#: The home of who lost theirs: unlike who never had one, they choose another by themselves.
_LOST = ""
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
#: What must be gone from a workspace before it can go.
_LIVE: Sequence[tuple[type[Any], Any, str]] = (
    (BotRow, BotRow.removed_at.is_null(), "bots"),
    (ExecutionRow, ExecutionRow.finished_at.is_null(), "executions that have not ended"),
    (SecretRow, None, "secrets"),
    (ConnectionRow, None, "connections"),
    (EndpointRow, None, "outbound webhooks"),
)
#: What somebody has to say of that it shall go.
_HELD: Sequence[tuple[type[Any], str]] = (
    (ExecutionRow, "the history of executions"),
    (BotRow, "the history of bots that were deleted"),
    (CollectionRow, "collections"),
)
#: What nobody changes or takes out, and what the installation accounts for.
_STAYING = (AuditRow, ModelAttemptRow)
_GOING: Sequence[type[Any]] = [
    kind for kind in ROWS if "workspace" in kind._meta.fields and kind not in _STAYING
]


def create(name: str, title: str, caller: Caller, now: int) -> WorkspaceRow:
    """Make a workspace without members.

    Raises:
      WorkspaceTaken: There is one of this name.
    """
    made = (
        WorkspaceRow.insert(name=name, title=title, created_at=now)
        .on_conflict_ignore()
        .as_rowcount()
        .execute()
    )
    if not made and get(name).created_at != now:
        raise WorkspaceTaken(name)
    if made:
        audit.record(
            caller, "workspace.created", name, now, change={"title": title}, workspace=name
        )
    return get(name)


def get(name: str) -> WorkspaceRow:
    """The workspace of this name.

    Raises:
      WorkspaceNotFound: There is none.
    """
    row = WorkspaceRow.get_or_none(WorkspaceRow.name == name)
    if row is None:
        raise WorkspaceNotFound(name)
    return row


def listing(account_id: str | None, *, limit: int, after: str = "") -> list[dict[str, JSON]]:
    """The workspaces of an account with its roles there, by name; None: all, without roles."""
    found = WorkspaceRow.select().where(WorkspaceRow.name > after)
    roles: dict[str, str] = {}
    if account_id is not None:
        mine = MemberRow.select().where(MemberRow.account_id == account_id)
        roles = {row.workspace: row.role for row in mine}
        found = found.where(WorkspaceRow.name.in_(list(roles)))
    shown = found.order_by(WorkspaceRow.name).limit(limit)
    return [as_dict(row, roles.get(row.name)) for row in shown]


def as_dict(row: WorkspaceRow, role: str | None = None) -> dict[str, JSON]:
    """A workspace as plain data for JSON."""
    told: dict[str, JSON] = {
        "name": row.name,
        "title": row.title,
        "created_at": iso(row.created_at),
    }
    return {**told, "role": role}


def change_title(name: str, title: str, caller: Caller, now: int) -> WorkspaceRow:
    """Give a workspace another title; its name stays, for everything hangs on it.

    Raises:
      WorkspaceNotFound: There is none.
    """
    if get(name).title != title:
        WorkspaceRow.update(title=title).where(WorkspaceRow.name == name).execute()
        audit.record(
            caller, "workspace.changed", name, now, change={"title": title}, workspace=name
        )
    return get(name)


def require_still(name: str) -> None:
    """Refuse a workspace that cannot go, for something in it is live.

    Raises:
      WorkspaceNotFound: There is none.
      WorkspaceInUse: It holds bots, secrets or the like, or is the one that stays.
    """
    get(name)
    if name == DEFAULT:
        raise WorkspaceInUse(f"{name} is always there")
    held = [
        what
        for kind, live, what in _LIVE
        if kind.select().where(kind.workspace == name, *([] if live is None else [live])).exists()
    ]
    if held:
        raise WorkspaceInUse(f"{name} still holds {', '.join(held)}; delete them first")


def delete(
    name: str, caller: Caller, now: int, *, purged: Mapping[str, JSON] | None = None
) -> None:
    """Delete a workspace in which nothing is left; its members leave, its keys are revoked.

    Args:
      name: The workspace.
      caller: Who wants it.
      now: Microseconds.
      purged: How much of its history was deleted before, for the audit log.

    Raises:
      WorkspaceNotFound: There is none.
      WorkspaceInUse: Something in it is live, or history is left, or it is the one that stays.
    """
    require_still(name)
    for kind, what in _HELD:
        if kind.select().where(kind.workspace == name).exists():
            raise WorkspaceInUse(
                f"{name} still holds {what}; to delete that as well, purge it: "
                f"`?purge=true`, or codex32 workspaces delete {name} --purge"
            )
    _sweep(name)
    AccountRow.update(home=_LOST).where(AccountRow.home == name).execute()
    WorkspaceRow.delete().where(WorkspaceRow.name == name).execute()
    change = None if purged is None else {"purged": dict(purged)}
    audit.record(caller, "workspace.deleted", name, now, change=change, workspace=name)


def _sweep(name: str) -> None:
    """Take out whatever names a workspace: another one of this name must find nothing of it."""
    mine: Any = DeliveryRow.select(DeliveryRow.id).where(DeliveryRow.workspace == name)
    DeliveryAttemptRow.delete().where(DeliveryAttemptRow.delivery_id.in_(mine)).execute()
    for kind in _GOING:
        kind.delete().where(kind.workspace == name).execute()
    # What its models cost was paid by the installation, whose account it stays in.
    ModelAttemptRow.update(workspace="").where(ModelAttemptRow.workspace == name).execute()
    scopes = [f"workspace:{name}", f"webhooks:{name}"]
    DataKeyRow.delete().where(DataKeyRow.scope.in_(scopes)).execute()
    RateRow.delete().where(RateRow.key.startswith(f"{name}:")).execute()
    BudgetRow.delete().where(BudgetRow.key.startswith(f"workspace:{name} ")).execute()


def members(workspace: str, *, limit: int, after: str = "") -> list[dict[str, JSON]]:
    """Who belongs to a workspace, by username, behind the one called ``after``."""
    here = MemberRow.select().where(MemberRow.workspace == workspace)
    rows = {row.account_id: row for row in here}
    found = AccountRow.select().where(
        AccountRow.id.in_(here.select(MemberRow.account_id)) & (AccountRow.username > after)
    )
    shown = found.order_by(AccountRow.username).limit(limit)
    return [member_as_dict(rows[account.id], account) for account in shown if account.id in rows]


def member_as_dict(row: MemberRow, account: AccountRow) -> dict[str, JSON]:
    """A member as plain data for JSON."""
    return {
        "id": account.id,
        "username": account.username,
        "full_name": account.full_name,
        "active": bool(account.active),
        "role": row.role,
        "since": iso(row.created_at),
    }


def put_member(
    workspace: str, who: str, role: Role, caller: Caller, now: int
) -> tuple[dict[str, JSON], bool]:
    """Take somebody in, or give them another role.

    The first workspace of somebody becomes their home; no later one changes where they work, not
    even when they belong to none any more: what they send was meant for the first.

    Returns:
      The member as plain data for JSON, and whether they are new here.

    Raises:
      WorkspaceNotFound: There is no such workspace.
      AccountNotFound: ``caller`` knows no account that is called ``who``.
    """
    get(workspace)
    account = _known(who, caller)
    row = _member(workspace, account.id)
    if row is None:
        anywhere = MemberRow.select().where(MemberRow.account_id == account.id)
        if not account.admin and account.home is None and not anywhere.exists():
            _set_home(account.id, workspace)
        MemberRow.insert(
            workspace=workspace, account_id=account.id, role=role.value, created_at=now
        ).on_conflict_ignore().execute()
    elif row.role != role.value:
        MemberRow.update(role=role.value).where(_is(workspace, account.id)).execute()
    if row is None or row.role != role.value:
        told = {"role": role.value, "before": row and row.role}
        audit.record(caller, "member.changed", account.id, now, change=told, workspace=workspace)
    member = _member(workspace, account.id)
    assert member is not None
    return member_as_dict(member, account), row is None


def remove_member(workspace: str, who: str, caller: Caller, now: int) -> None:
    """Have somebody leave; their API keys for this workspace are revoked.

    Raises:
      AccountNotFound: ``caller`` knows no account that is called ``who``.
      MemberNotFound: They are no member.
    """
    account = _known(who, caller)
    if not MemberRow.delete().where(_is(workspace, account.id)).execute():
        raise MemberNotFound(who, workspace)
    if account.home == workspace:
        _set_home(account.id, _LOST)
    keys.revoke_of(account.id, workspace, now)
    audit.record(caller, "member.removed", account.id, now, workspace=workspace)


def _known(who: str, caller: Caller) -> AccountRow:
    """The account that ``caller`` means: by an address only if they may see all addresses.

    Else the admins of any workspace could try whose addresses have an account, and as whom.
    """
    account = accounts.find(who) if "@" not in who or caller.admin else None
    # Anybody can say that an address is theirs.
    if account is None or ("@" in who and not account.email_verified):
        raise AccountNotFound(who)
    return account


def make_home(account_id: str, workspace: str, caller: Caller, now: int) -> None:
    """Have somebody work in a workspace of theirs wherever they name none.

    Raises:
      AccountNotFound: There is no such account.
      WorkspaceNotFound: There is no such workspace that they could see.
    """
    account = accounts.get(account_id)
    if account.home == workspace:
        return
    if account.admin:
        get(workspace)
    elif _member(workspace, account_id) is None:
        raise WorkspaceNotFound(workspace)
    _set_home(account_id, workspace)
    audit.record(caller, "user.changed", account_id, now, change={"home": workspace}, workspace="")


def _set_home(account_id: str, workspace: str) -> None:
    AccountRow.update(home=workspace).where(AccountRow.id == account_id).execute()


def role_of(account_id: str, workspace: str) -> Role | None:
    """What an account is in a workspace, or None where it is no member."""
    row = _member(workspace, account_id)
    return None if row is None else Role(row.role)


def _member(workspace: str, account_id: str) -> MemberRow | None:
    return MemberRow.get_or_none(_is(workspace, account_id))


def _is(workspace: str, account_id: str) -> Any:
    return (MemberRow.workspace == workspace) & (MemberRow.account_id == account_id)
