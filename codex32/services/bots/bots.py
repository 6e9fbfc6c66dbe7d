"""Bots and their versions as rows: finding them, pausing, removing, keeping faults of files.

What makes a version live is the :mod:`registry <codex32.services.bots.registry>`; it takes the
same lock, so that a bot is changed by one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from codex32.engine.records import gates
from codex32.kernel.caller import Caller
from codex32.kernel.clock import from_micros
from codex32.kernel.errors import BotNotFound, BotReadOnly, VersionNotFound
from codex32.kernel.events import BotChanged, BotFailed, BotRecovered
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.models import BotRow, VersionRow
from codex32.kernel.notices import announce
from codex32.kernel.problems import Problem
from codex32.kernel.text import file_told
from codex32.services.bots import alert_rules, memories, schedules, webhook_paths
from codex32.services.bots.written import (
    FILE,
    RUN,
    Stored,
    Written,
    insert_bot,
    new_bot,
    new_version,
)
from codex32.services.safe import audit

#: What brings bots to what folders hold, as the audit log names it.
FOLDERS = Caller("local", "folders", "the watched folders")

#: Raises where a bot is not as somebody took it to be; is given its tag, None where it is gone.
Precondition = Callable[[str | None], None]


def tag(row: BotRow | None) -> str | None:
    """What changes whenever the definition does that a bot has, or that waits to be approved."""
    if row is None or row.removed_at is not None:
        return None
    return (
        "-".join(each for each in (row.active_version_id, row.pending_version_id) if each) or "0"
    )


def get(name: str, *, workspace: str = "default") -> BotRow:
    """The row of a bot, removed or not.

    Raises:
      BotNotFound: There is none; the nearest name is suggested.
    """
    row = find(name, workspace)
    if row is None:
        there = (BotRow.workspace == workspace) & BotRow.removed_at.is_null()
        raise BotNotFound(name, [each.name for each in BotRow.select(BotRow.name).where(there)])
    return row


def pause(
    name: str,
    now: int,
    *,
    paused: bool = True,
    by: Caller = FOLDERS,
    workspace: str = "default",
) -> BotRow:
    """Let no trigger start the bot until it is resumed (``paused=False``); people still may.

    Raises:
      BotNotFound: There is no such bot.
    """
    row = get(name, workspace=workspace)
    if row.paused != paused:
        BotRow.update(paused=paused, updated_at=now).where(BotRow.id == row.id).execute()
        tell(row, "paused" if paused else "resumed", None, now, by)
    return get(name, workspace=workspace)


def history(name: str, *, workspace: str = "default") -> list[VersionRow]:
    """The versions of a bot, newest first.

    Raises:
      BotNotFound: There is no such bot.
    """
    row = get(name, workspace=workspace)
    versions = VersionRow.select().where(VersionRow.bot_id == row.id)
    return list(versions.order_by(VersionRow.number.desc()))


def find_version(row: BotRow, number: int) -> VersionRow:
    """The version of a bot with this number.

    Raises:
      VersionNotFound: There is none; the message names those that are there.
    """
    mine = VersionRow.bot_id == row.id
    version = VersionRow.get_or_none(mine & (VersionRow.number == number))
    if version is None:
        last = VersionRow.select().where(mine).order_by(VersionRow.number.desc()).first()
        there = [f"1 to {last.number}"] if last else ["none"]
        raise VersionNotFound(f"{number} of {row.name}", there)
    return version


def keep(written: Written, now: int, *, workspace: str = "default") -> Stored:
    """Store ``written`` as a version that is not live, for one execution: ``codex32 run``.

    A bot that is not there is made, without triggers; a definition that was stored before
    keeps its version.
    """
    gates.lock("registry")
    row = find(written.bot.name, workspace)
    if row is None:
        row = new_bot(written, workspace, now)
        insert_bot(row)
    same = (VersionRow.bot_id == row.id) & (VersionRow.digest == written.digest)
    version = VersionRow.select().where(same).order_by(VersionRow.number.desc()).first()
    if version is None:
        version = new_version(row, written, now)
    if row.origin == RUN:
        BotRow.update(active_version_id=version.id, source=written.source, updated_at=now).where(
            BotRow.id == row.id
        ).execute()
    return Stored(row.id, version.id, version.number, None)


def fail(
    name: str,
    source: str,
    problems: Sequence[Problem],
    now: int,
    *,
    workspace: str = "default",
) -> bool:
    """Note that a bot's file has faults; its live version stays. Whether that is news.

    The faults of a file that would take a bot from another owner are not noted at the bot.
    """
    gates.lock("registry")
    text = dumps([problem.as_dict() for problem in problems])
    row = find(name, workspace)
    if row is None:
        row = BotRow(
            id=new_id("bot"), workspace=workspace, name=name, origin=FILE, source=source,
            problems=text, created_at=now, updated_at=now,
        )  # fmt: skip
        insert_bot(row)
    elif row.origin != FILE or row.source != source or row.problems == text:
        return False
    else:
        BotRow.update(problems=text, updated_at=now).where(BotRow.id == row.id).execute()
    told = tuple(str(problem) for problem in problems)
    announce(
        BotFailed(
            at=from_micros(now),
            workspace=workspace,
            bot=name,
            source=file_told(source) or "",
            problems=told,
        )
    )
    return True


def remove(
    name: str,
    now: int,
    *,
    origin: str,
    by: Caller = FOLDERS,
    workspace: str = "default",
    given: Precondition | None = None,
) -> bool:
    """Disable a bot whose file is gone, or that the API deletes; its history stays.

    What it remembers goes where it is deleted. A file may come back, and then the bot goes on.

    Raises:
      BotNotFound: There is no such bot.
      BotReadOnly: It does not belong to ``origin``.
      Codex32Error: What ``given`` raises.
    """
    gates.lock("registry")
    row = get(name, workspace=workspace)
    if given is not None:
        given(tag(row))
    if row.removed_at is not None:
        return False
    if origin != FILE and row.origin == FILE:
        raise BotReadOnly(name, row.source)
    BotRow.update(
        enabled=False,
        removed_at=now,
        problems=None,
        pending_version_id=None,
        updated_at=now,
    ).where(BotRow.id == row.id).execute()
    schedules.switch_off(row.id)
    webhook_paths.forget(row.id)
    alert_rules.forget(row.id)
    if origin != FILE:
        memories.forget([row.id])
    tell(row, "removed", None, now, by)
    return True


def withdraw(row: BotRow, now: int, *, by: Caller) -> None:
    """Let the version go that waits to be approved; what is live stays."""
    BotRow.update(pending_version_id=None, updated_at=now).where(BotRow.id == row.id).execute()
    pending = version_of(row.pending_version_id)
    tell(row, "withdrawn", pending.number if pending else None, now, by)


def there(name: str, *, workspace: str) -> BotRow:
    """The row of a bot that was not removed.

    Raises:
      BotNotFound: There is none.
    """
    row = get(name, workspace=workspace)
    if row.removed_at is not None:
        raise BotNotFound(name)
    return row


def never_live(row: BotRow) -> VersionNotFound:
    """What to tell of a bot whose file had faults, or whose version waits, from the beginning."""
    return VersionNotFound(f"of {row.name} that was ever live")


def find(name: str, workspace: str) -> BotRow | None:
    """The row of a bot, removed or not; None where there is none."""
    return BotRow.get_or_none((BotRow.workspace == workspace) & (BotRow.name == name))


def version_of(version_id: str | None) -> VersionRow | None:
    """A version by its id."""
    return None if version_id is None else VersionRow.get_or_none(VersionRow.id == version_id)


def tell_recovery(row: BotRow, now: int) -> None:
    """Tell that a file is without faults again; ``row`` is from before."""
    if row.problems is not None:
        announce(BotRecovered(at=from_micros(now), workspace=row.workspace, bot=row.name))


def tell(
    row: BotRow,
    change: str,
    number: int | None,
    now: int,
    by: Caller,
    about: Mapping[str, JSON] | None = None,
) -> None:
    """Announce that a bot has changed, and put down who did it.

    Args:
      row: The bot.
      change: ``created changed waiting approved restored moved withdrawn removed paused resumed``
        or ``rolled back``.
      number: The version it is about.
      now: Microseconds.
      by: Who did it.
      about: What more the audit log keeps of it.
    """
    announce(
        BotChanged(
            at=from_micros(now),
            workspace=row.workspace,
            bot=row.name,
            change=change,
            version=number,
        )
    )
    action = f"bot.{change.replace(' ', '-')}"
    told = {**({} if number is None else {"version": number}), **(about or {})}
    audit.record(by, action, row.name, now, change=told or None, workspace=row.workspace)
