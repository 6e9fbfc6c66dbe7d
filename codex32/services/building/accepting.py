"""From a draft to a bot: by somebody's word alone, for what they saw, and with a way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml
from codex32.engine.records import gates
from codex32.kernel.caller import Caller
from codex32.kernel.errors import BotExists
from codex32.kernel.json_values import JSON, canonical, loads
from codex32.kernel.models import BotRow
from codex32.services.bots import bots
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import BUILDER, Written
from codex32.services.building import sessions
from codex32.services.building.faults import BuildConflict
from codex32.services.building.outcome import outcome
from codex32.services.building.session import Session
from codex32.services.safe import audit


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What somebody accepts.

    Attributes:
      digest: Of the draft as they were shown it, so that nothing else is accepted.
      enable: Whether a new bot may be started at once; a refined one stays as it is.
    """

    session_id: str
    digest: str
    enable: bool = False


def accept(
    wish: Acceptance, registry: Registry, reader: Reader, caller: Caller, now: int
) -> Session:
    """Make a draft that was proved a bot, or the next version of one; called inside a write.

    What people changed in the bot since the session began stays.

    Raises:
      BuildNotFound: There is no such session.
      BuildConflict: It is not ready, or not what was shown, as the bot may be another one by now.
      BotExists: There is a bot of this name by now.
      BotReadOnly: The bot belongs to a file.
    """
    gates.lock("registry")  # nobody changes the bot between the look and the word
    session = sessions.get(wish.session_id, caller.workspace)
    if session.status == "accepted" and session.work.accepted.get("digest") == wish.digest:
        return session  # the same word, sent again
    if session.status != "ready":
        raise BuildConflict(f"{session.id} cannot be accepted: it is {session.status}")
    made = outcome(session, reader)
    if made.digest != wish.digest:
        raise BuildConflict(f"the draft of {session.id} is not the one you saw; look at it again")
    bot, text = made.bot, made.text
    if made.former is None:
        there = bots.find(bot.name, caller.workspace)
        if there is not None and there.removed_at is None:
            raise BotExists(bot.name)
        bot = reader.check_document({**bot.document, "enabled": wish.enable}).only_bot()
        text = to_yaml(bot.document)
    message = f"built in {session.id}"
    written = Written.of(
        bot,
        text,
        BUILDER,
        author=caller.name,
        message=message,
        owner=caller.owner,
        python_tests=made.python,
    )
    stored = registry.store(written, now, by=caller, workspace=caller.workspace)
    accepted: dict[str, JSON] = {
        "bot": bot.name,
        "version": stored.number,
        "version_id": stored.version_id,
        "former": None if made.former is None else made.former.number,
        "digest": wish.digest,
        "change": stored.change,
        "widens": list(stored.widens),
        "enabled": bot.enabled,
        "by": caller.name,
    }
    audit.record(caller, "build.accepted", session.id, now, change={"bot": bot.name})
    return sessions.put(replace(session, status="accepted").now(accepted=accepted), now)


def undo(session_id: str, registry: Registry, caller: Caller, now: int) -> Session:
    """Take an acceptance back, once: the bot is as it was before; called inside a write.

    That somebody let it be started since, or not, stands in nobody's way.

    Raises:
      BuildNotFound: There is no such session.
      BuildConflict: Nothing was accepted, or the bot was changed since.
    """
    gates.lock("registry")
    session = sessions.get(session_id, caller.workspace)
    accepted: Mapping[str, Any] = session.work.accepted
    if session.status != "accepted":
        raise BuildConflict(f"there is nothing to undo in {session.id}: it is {session.status}")
    row = bots.there(accepted["bot"], workspace=caller.workspace)
    there = row.active_version_id, row.pending_version_id
    if accepted["version_id"] not in there and not _only_switched(row, accepted["version_id"]):
        raise BuildConflict(f"{row.name} was changed since; see: codex32 bots history {row.name}")
    if accepted["former"] is None:
        bots.remove(row.name, now, origin=BUILDER, by=caller, workspace=caller.workspace)
    elif row.pending_version_id == accepted["version_id"]:
        bots.withdraw(row, now, by=caller)
    else:
        number = accepted["former"]
        registry.rollback(row.name, number, now, by=caller, workspace=caller.workspace)
    audit.record(caller, "build.undone", session.id, now, change={"bot": row.name})
    return sessions.put(replace(session, status="undone"), now)


def _only_switched(row: BotRow, version_id: str) -> bool:
    """Whether the live version is the accepted one but for ``enabled``."""
    live, taken = bots.version_of(row.active_version_id), bots.version_of(version_id)
    if live is None or taken is None or row.pending_version_id is not None:
        return False
    documents = [loads(each.document) for each in (live, taken)]
    for each in documents:
        each.pop("enabled", None)
    return canonical(documents[0]) == canonical(documents[1])
