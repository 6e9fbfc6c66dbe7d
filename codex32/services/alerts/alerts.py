"""Alerts as people see them: how they stand, silencing them, looking after them.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codex32.engine.records import gates
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.caller import DEFAULT_WORKSPACE, Caller
from codex32.kernel.errors import Codex32Error, InvalidTransition
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.text import did_you_mean
from codex32.services.alerts.standing import FIRING, OK
from codex32.services.bots.alert_rules import restored
from codex32.services.bots.written import storable
from codex32.services.presentation import iso
from codex32.services.safe import audit

#: For how long an alert can be silenced.
LONGEST_SILENCE_SECONDS = 90 * 86400.0
PENDING = "pending"


class AlertNotFound(Codex32Error):
    """No alert has this id, or this name."""

    code = "alert-not-found"

    def __init__(self, asked: str, hint: str = "") -> None:
        super().__init__(f"there is no alert {asked!r}{hint}")


@dataclass(frozen=True, slots=True)
class Query:
    """Which alerts of a workspace, in the order of their ids.

    Attributes:
      state: Any of ``ok pending firing``; all where none is named.
      after: Only those with a greater id: the last one of the page before.
    """

    state: Sequence[str] = ()
    bot: str | None = None
    after: str | None = None
    limit: int = 50
    workspace: str = DEFAULT_WORKSPACE


def listing(query: Query) -> list[AlertRow]:
    """The alerts that ``query`` asks for."""
    rows = AlertRow.select().where(AlertRow.workspace == query.workspace)
    if query.bot is not None:
        rows = rows.where(AlertRow.bot_name == query.bot)
    if query.state:
        turning = AlertRow.turning_since.is_null(False)
        quiet = AlertRow.state == OK
        states = {OK: quiet & ~turning, PENDING: quiet & turning, FIRING: AlertRow.state == FIRING}
        wanted = states[query.state[0]]
        for more in query.state[1:]:
            wanted |= states[more]
        rows = rows.where(wanted)
    if query.after is not None:
        rows = rows.where(AlertRow.id > query.after)
    return list(rows.order_by(AlertRow.id).limit(query.limit))


def get(alert_id: str, *, workspace: str = DEFAULT_WORKSPACE) -> AlertRow:
    """An alert of the workspace.

    Raises:
      AlertNotFound: There is none of this id.
    """
    row = AlertRow.get_or_none((AlertRow.id == alert_id) & (AlertRow.workspace == workspace))
    if row is None:
        raise AlertNotFound(alert_id)
    return row


def find(bot: str, name: str, *, workspace: str = DEFAULT_WORKSPACE) -> AlertRow:
    """An alert by its bot and name, for people who type.

    It is named ``owner/name`` where several speak of the bot by the same name.

    Raises:
      AlertNotFound: There is none, or more than one; the nearest name, or all, are suggested.
    """
    mine = (AlertRow.workspace == workspace) & (AlertRow.bot_name == bot)
    rows = list(AlertRow.select().where(mine).order_by(AlertRow.owner_name))
    found = [row for row in rows if name in (row.name, f"{row.owner_name}/{row.name}")]
    if not found:
        hint = did_you_mean(name, [row.name for row in rows])
        raise AlertNotFound(f"{bot} {name}", hint)
    if len(found) > 1:
        every = " or ".join(f"{row.owner_name}/{row.name}" for row in found)
        raise AlertNotFound(f"{bot} {name}", f" alone; write {every}")
    return found[0]


def silence(
    alert_id: str,
    seconds: float,
    by: Caller,
    now: int,
    *,
    note: str = "",
    workspace: str = DEFAULT_WORKSPACE,
) -> AlertRow:
    """Tell nobody of an alert for so long; 0 ends a silence.

    It stands as it would. What is still so when the silence ends is told then, and what came and
    went meanwhile never is.

    Raises:
      AlertNotFound: There is none of this id.
    """
    row = get(alert_id, workspace=workspace)
    until = now + int(min(seconds, LONGEST_SILENCE_SECONDS) * 1e6) if seconds > 0 else None
    columns = {"silenced_until": until, "silenced_by": by.name if until else None, "note": note}
    return _change(row, columns, "alert.silenced" if until else "alert.unsilenced", by, now)


def acknowledge(
    alert_id: str,
    by: Caller,
    now: int,
    *,
    note: str = "",
    workspace: str = DEFAULT_WORKSPACE,
) -> AlertRow:
    """Look after an alert: it is not escalated while it fires this time. The first one counts.

    Raises:
      AlertNotFound: There is none of this id.
      InvalidTransition: It does not fire.
    """
    gates.lock(f"alert:{alert_id}")
    row = get(alert_id, workspace=workspace)
    if row.state != FIRING:
        raise InvalidTransition(f"{row.bot_name} {row.name}", row.state, "acknowledged")
    if row.acknowledged_by is not None:
        return row
    columns = {"acknowledged_by": by.name, "acknowledged_at": now, "note": note}
    return _change(row, columns, "alert.acknowledged", by, now)


def _change(
    row: AlertRow, columns: dict[str, JSON], action: str, by: Caller, now: int
) -> AlertRow:
    columns["note"] = storable(columns["note"])
    # Whoever is looking at it just now looks again: what is told hangs on this.
    change = AlertRow.update({**columns, "revision": AlertRow.revision + 1})
    change.where(AlertRow.id == row.id).execute()
    about = {"bot": row.bot_name, "alert": row.name, "note": columns["note"]}
    audit.record(by, action, row.id, now, change=about, workspace=row.workspace)
    return get(row.id, workspace=row.workspace)


def as_dict(row: AlertRow, now: int) -> dict[str, JSON]:
    """An alert as plain data for JSON; nothing of where its notices go."""
    alert = restored(row.definition).alert
    pending = row.state == OK and row.turning_since is not None
    silenced = row.silenced_until is not None and row.silenced_until > now
    return {
        "id": row.id,
        "bot": row.bot_name,
        "name": row.name,
        "said_by": row.owner_name,
        "kind": alert.kind,
        "limit": alert.limit,
        "state": PENDING if pending else row.state,
        "since": iso(row.turning_since if pending else row.state_since),
        "detail": row.detail,
        "told": row.told,
        "silenced_until": iso(row.silenced_until) if silenced else None,
        "silenced_by": row.silenced_by if silenced else None,
        "acknowledged_by": row.acknowledged_by,
        "acknowledged_at": iso(row.acknowledged_at),
        "note": row.note,
        "notices": loads(row.notices),
    }
