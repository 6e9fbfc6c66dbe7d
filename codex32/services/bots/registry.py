"""The registry of bots: versions, which one is live, and who may change it.

Every change of a definition is a new immutable version. What writes takes the registry's lock,
compares digests inside the transaction, and so does nothing when another process was first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codex32.engine.reading.building import build_bot
from codex32.engine.records import gates
from codex32.kernel.bot import Allow, Bot
from codex32.kernel.caller import Caller
from codex32.kernel.errors import BotInvalid, Codex32Error, InvalidTransition
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow, VersionRow
from codex32.services.bots import alert_rules, bots, memories, schedules, webhook_paths
from codex32.services.bots.bots import FOLDERS, Precondition
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.diff import diff
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.bots.widening import widening
from codex32.services.bots.written import (
    FILE,
    RUN,
    Stored,
    Written,
    check_owner,
    insert_bot,
    new_bot,
    new_version,
    shown,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the installation wants of versions.

    Attributes:
      approve_capabilities: A version that may more than the live one waits for a person.
    """

    approve_capabilities: bool = False


class Registry:
    """Writes bots and versions; its methods are called through ``Door.write``.

    Args:
      types: The installed trigger types, which know the next times.
      definitions: Stored versions as bots.
    """

    def __init__(
        self, types: TriggerTypes, definitions: Definitions, policy: Policy | None = None
    ) -> None:
        self._types, self._definitions = types, definitions
        self._policy = policy or Policy()

    def store(
        self,
        written: Written,
        now: int,
        *,
        by: Caller = FOLDERS,
        workspace: str = "default",
        given: Precondition | None = None,
    ) -> Stored:
        """Make ``written`` the live version of its bot, unless it is that already.

        Where the policy wants that somebody approves it first, it waits, and what is live stays.

        Raises:
          BotReadOnly: The bot belongs to a file, and the API would change it.
          BotInvalid: The bot belongs to the API, and a file would change it.
          Codex32Error: What ``given`` raises.
        """
        gates.lock("registry")
        row = bots.find(written.bot.name, workspace)
        if given is not None:
            given(bots.tag(row))
        if row is None:
            return self._create(written, workspace, now, by)
        return self._change(row, written, now, by)

    def store_many(
        self,
        items: Sequence[Written],
        now: int,
        *,
        by: Caller = FOLDERS,
        workspace: str = "default",
    ) -> list[Stored | Codex32Error]:
        """Store several, of different names, each as :meth:`store` would; faults are returned."""
        gates.lock("registry")
        names = [item.bot.name for item in items]
        known = BotRow.select().where((BotRow.workspace == workspace) & BotRow.name.in_(names))
        rows = {row.name: row for row in known}
        answers: list[Stored | Codex32Error] = []
        for item in items:
            row = rows.get(item.bot.name)
            try:
                if row is None:
                    answers.append(self._create(item, workspace, now, by))
                else:
                    answers.append(self._change(row, item, now, by))
            except Codex32Error as error:
                answers.append(error)
        return answers

    def _create(self, written: Written, workspace: str, now: int, by: Caller) -> Stored:
        row = new_bot(written, workspace, now)
        self._check_addresses(row, written)
        more = self._more(written, None)
        version = new_version(row, written, now, widens=more or None, number=1)
        if more:
            row.pending_version_id = version.id
        else:
            row.active_version_id = version.id
        insert_bot(row)
        if written.origin != RUN and not more:
            live = written.bot.enabled
            schedules.reconcile(row.id, written.bot, self._types, now, live=live, known=())
            if written.bot.alerts:
                alert_rules.reconcile(row.id, workspace, written.bot, now, live=live)
            if webhook_paths.serves(written.bot, self._types):
                webhook_paths.reconcile(row.id, workspace, self._types, now)
        change = "waiting" if more else "created"
        bots.tell(row, change, 1, now, by, _widens(more))
        return Stored(row.id, version.id, 1, change, more)

    def _change(self, row: BotRow, written: Written, now: int, by: Caller) -> Stored:
        check_owner(row, written)
        if row.removed_at is not None and written.origin not in (FILE, RUN):
            # It is made anew; executions of the one before may have written after it was deleted.
            memories.forget([row.id])
        self._check_addresses(row, written)
        active = bots.version_of(row.active_version_id)
        pending = bots.version_of(row.pending_version_id)
        if pending is not None and written.is_in(pending):
            news = _place_changed(row, written)
            if news is not None:
                self._put(row, _placed(written), now)
                bots.tell_recovery(row, now)
                bots.tell(row, news, pending.number, now, by)
            more = loads(pending.widens or "[]")
            return Stored(row.id, pending.id, pending.number, news, more)
        if active is None or not (written.is_in(active) or written.digest == row.pinned_digest):
            return self._add(row, written, active, now, by)
        refreshed = self._refresh(row, written, active, now, by)
        return Stored(row.id, active.id, active.number, refreshed)

    def _add(
        self, row: BotRow, written: Written, active: VersionRow | None, now: int, by: Caller
    ) -> Stored:
        """Write the next version; it becomes live, or waits."""
        more = self._more(written, active)
        version = new_version(row, written, now, former=active, widens=more or None)
        about = _widens(more)
        if active is not None:
            about["changes"] = _paths(loads(active.document), written.bot.document)
        if not more:
            columns = {"active_version_id": version.id, "pending_version_id": None}
            self._put(row, {**columns, **_placed(written)}, now, written.bot)
            change = "changed" if active else "created"
            bots.tell_recovery(row, now)
            bots.tell(row, change, version.number, now, by, about)
            return Stored(row.id, version.id, version.number, change)
        back = None if row.removed_at is None else active
        bot = None if back is None else self._definitions.bot(back.id)
        self._put(row, {"pending_version_id": version.id, **_placed(written)}, now, bot)
        bots.tell_recovery(row, now)
        bots.tell(row, "waiting", version.number, now, by, about)
        return Stored(row.id, version.id, version.number, "waiting", more)

    def beyond(self, bot: Bot, workspace: str) -> list[str]:
        """What a definition may beyond the live version of its name; reads alone."""
        row = bots.find(bot.name, workspace)
        active = None if row is None else bots.version_of(row.active_version_id)
        return widening(_allowed(active), bot.allow)

    def _more(self, written: Written, active: VersionRow | None) -> list[str]:
        """What somebody has to approve."""
        if not self._policy.approve_capabilities or written.origin == RUN:
            return []
        return widening(_allowed(active), written.bot.allow)

    def rollback(
        self,
        name: str,
        number: int,
        now: int,
        *,
        by: Caller = FOLDERS,
        workspace: str = "default",
        given: Precondition | None = None,
    ) -> Stored:
        """Make an older version live; it holds until the file changes again.

        Raises:
          BotNotFound: There is no such bot.
          VersionNotFound: It has no version of this number.
          InvalidTransition: The version waits, or has waited in vain, for approval.
          Codex32Error: What ``given`` raises.
        """
        gates.lock("registry")
        row = bots.get(name, workspace=workspace)
        if given is not None:
            given(bots.tag(row))
        version = bots.find_version(row, number)
        if version.widens is not None and version.approved_at is None:
            raise InvalidTransition(f"version {number} of {name}", "not approved", "live")
        active = bots.version_of(row.active_version_id)
        pinned = row.pinned_digest
        if row.origin == FILE and pinned is None and active is not None:
            pinned = active.digest if row.pending_version_id is None else None
        columns = {
            "active_version_id": version.id,
            "pinned_digest": None if pinned == version.digest else pinned,
        }
        self._put(row, columns, now, self._definitions.bot(version.id))
        was = {"was": active.number if active else None}
        bots.tell(row, "rolled back", version.number, now, by, was)
        return Stored(row.id, version.id, version.number, "rolled back")

    def approve(
        self, name: str, number: int, now: int, *, by: Caller, workspace: str = "default"
    ) -> Stored:
        """Make the version live that waits for approval.

        Raises:
          BotNotFound: There is no such bot.
          VersionNotFound: It has no version of this number.
          InvalidTransition: This version does not wait.
        """
        gates.lock("registry")
        row = bots.get(name, workspace=workspace)
        version = bots.find_version(row, number)
        if row.pending_version_id != version.id:
            raise InvalidTransition(f"version {number} of {name}", "not waiting", "approved")
        VersionRow.update(approved_by=by.name, approved_at=now).where(
            VersionRow.id == version.id
        ).execute()
        columns = {
            "active_version_id": version.id,
            "pending_version_id": None,
            "pinned_digest": None,
        }
        self._put(row, columns, now, self._definitions.bot(version.id))
        bots.tell(row, "approved", version.number, now, by, _widens(loads(version.widens or "[]")))
        return Stored(row.id, version.id, version.number, "approved")

    def _refresh(
        self, row: BotRow, written: Written, active: VersionRow, now: int, by: Caller
    ) -> str | None:
        """The definition is the one that is live (or pinned over); its place may be new."""
        change = _place_changed(row, written)
        if row.pending_version_id is not None:
            change = change or "withdrawn"
        same = active.digest == written.digest
        if change is None and same and row.pinned_digest is not None:
            BotRow.update(pinned_digest=None).where(BotRow.id == row.id).execute()
        if change is not None:
            bot = written.bot if same else self._definitions.bot(active.id)
            pinned = None if same else row.pinned_digest
            columns = {"pinned_digest": pinned, "pending_version_id": None}
            self._put(row, {**_placed(written), **columns}, now, bot)
            bots.tell_recovery(row, now)
            bots.tell(row, change, active.number, now, by)
        return change

    def _put(
        self, row: BotRow, columns: Mapping[str, object], now: int, bot: Bot | None = None
    ) -> None:
        """Change a bot's row, and where ``bot`` is live now, what follows from that."""
        there = columns.get("removed_at", row.removed_at) is None
        told: Mapping[str, object] = {}
        if bot is not None:
            told = {"enabled": bot.enabled and there, **shown(bot)}
        change = BotRow.update({**columns, **told, "updated_at": now})
        change.where(BotRow.id == row.id).execute()
        if bot is not None:
            live = bot.enabled and there and columns.get("origin", row.origin) != RUN
            schedules.reconcile(row.id, bot, self._types, now, live=live)
            alert_rules.reconcile(row.id, row.workspace, bot, now, live=live)
            webhook_paths.reconcile(row.id, row.workspace, self._types, now)

    def _check_addresses(self, row: BotRow, written: Written) -> None:
        """Whoever asks is told at once that an address is taken; a file's bot waits for it."""
        if written.origin in (FILE, RUN) or not written.bot.enabled:
            return
        taken = webhook_paths.taken(row.id, row.workspace, written.bot, self._types)
        if taken:
            raise BotInvalid(f"{row.name} wants an address that is taken:", taken)


def _placed(written: Written) -> dict[str, object]:
    """The columns that a definition without faults sets, wherever it comes from."""
    return {
        "origin": written.origin,
        "source": written.source,
        "pinned_digest": None,
        "problems": None,
        "removed_at": None,
    }


def _place_changed(row: BotRow, written: Written) -> str | None:
    if row.removed_at is not None or row.problems is not None:
        return "restored"
    moved = (row.origin, row.source) != (written.origin, written.source)
    return "moved" if moved else None


def _allowed(version: VersionRow | None) -> Allow:
    """What a version may, also where what it needs is no longer installed."""
    return Allow() if version is None else build_bot(loads(version.document)).allow


def _widens(more: Sequence[str]) -> dict[str, JSON]:
    return {"widens": list(more)} if more else {}


def _paths(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> list[JSON]:
    """Where two definitions differ: their values stand in the versions, and nowhere twice."""
    return [f"{each.path}: {each.kind}" for each in diff(before, after)]
