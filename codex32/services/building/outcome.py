"""What a draft becomes if it is accepted now: with what people changed in its bot meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml
from codex32.kernel.bot import Bot
from codex32.kernel.errors import BotInvalid
from codex32.kernel.json_values import JSON, canonical, loads
from codex32.kernel.models import VersionRow
from codex32.services.bots import bots
from codex32.services.bots.authoring import as_yaml, says
from codex32.services.bots.merging import Conflict, Merged, merge
from codex32.services.bots.written import BUILDER, Written
from codex32.services.building.faults import BuildConflict
from codex32.services.building.session import Session


@dataclass(frozen=True, slots=True)
class Outcome:
    """A definition that people decide about.

    Attributes:
      text: Its YAML; of a bot that is there with the comments of whoever wrote it.
      former: The version that it comes after; None for a new bot.
      merged: Whether somebody changed the bot since the session began. Both changes are in it
        then, and it is proved anew before it is accepted.
      conflicts: What they changed, too, and otherwise: theirs stays.
      python: pytest for its Python.
    """

    bot: Bot
    text: str
    python: str
    former: VersionRow | None = None
    merged: bool = False
    conflicts: Sequence[Conflict] = ()

    @property
    def digest(self) -> str:
        """What it is known by."""
        return Written.of(self.bot, "", BUILDER).digest


@dataclass(frozen=True, slots=True)
class Saved:
    """A draft as files that may be there already.

    Attributes:
      text: The bot file.
      python: pytest for its Python; empty where there is none.
      conflicts: What was edited in those files, too, and otherwise: it stays as it is.
    """

    text: str
    python: str
    conflicts: Sequence[Conflict] = ()


def draft_of(session: Session, reader: Reader) -> Bot:
    """The draft of a session, as a model left it.

    Raises:
      BuildConflict: It has none yet.
      BotInvalid: What it needs is no longer installed.
    """
    if not session.work.yaml:
        raise BuildConflict(f"{session.id} has no draft yet: it is {session.status}")
    return reader.read_text(session.work.yaml).only_bot()


def outcome(session: Session, reader: Reader) -> Outcome:
    """What becomes of the draft; once it is decided about, what it was. Reads rows.

    Raises:
      BuildConflict: There is no draft, or it does not go together with what the bot is by now.
      BotInvalid: What it needs is no longer installed.
      BotNotFound: The bot that was refined is gone.
    """
    draft = draft_of(session, reader)
    base = bots.version_of(session.base_version_id)
    if session.bot is None or base is None:
        return Outcome(draft, session.work.yaml, session.work.python)
    before = loads(base.document)
    proposed = _proposed(draft, before)
    if session.status != "ready":
        bot, work = reader.from_document(proposed), session.work
        return Outcome(bot, work.yaml, work.python, base)
    row = bots.there(session.bot, workspace=session.workspace)
    former = bots.version_of(row.active_version_id) or base
    changed = former.id != base.id
    theirs = to_yaml(proposed)
    try:
        merged = merge(to_yaml(before), as_yaml(former, reader), theirs)
        bot = reader.read_text(merged.text, default_name=row.name).only_bot()
    except BotInvalid as error:
        if changed:
            raise BuildConflict(
                f"{row.name} was changed since this session began, and the draft does not go "
                f"together with that; begin another one: {error}"
            ) from None
        # Nothing has to be merged: the comments alone are lost.
        merged, bot = Merged(theirs, ()), reader.read_text(theirs).only_bot()
    python, conflicts = session.work.python, list(merged.conflicts)
    if former.python_tests and former.python_tests != base.python_tests:
        if python not in (former.python_tests, base.python_tests or ""):
            told = base.python_tests, former.python_tests, python
            conflicts.append(Conflict("pytest", *told))
        python = former.python_tests
    return Outcome(bot, merged.text, python, former, changed, conflicts)


def saved(session: Session, reader: Reader, file: Path, python: Path) -> Saved:
    """The draft in the file of its bot, which somebody may be editing; reads rows and files.

    What stands in the file may be newer than the live version, or have faults that keep it from
    being one, and its comments make no version.

    Args:
      session: Whose draft.
      reader: Reads bot files.
      file: Of the bot; of a new one it need not be there.
      python: Where pytest for its Python stands, or will.

    Raises:
      BotInvalid: The file has faults, or is of several bots; nothing can go into it then.
      BuildConflict: As :func:`outcome`.
    """
    made = outcome(session, reader)
    if made.former is None or not file.exists():
        return Saved(made.text, made.python, made.conflicts)
    reading = reader.read_path(file)
    if reading.problems or len(reading.bots) != 1:
        told = "its faults" if reading.problems else "several bots in it"
        raise BotInvalid(f"{file} cannot be merged with the draft for {told}:", reading.problems)
    there = reading.bots[0]
    mine = file.read_text(encoding="utf-8")
    if not says(mine, there.document, reader):  # its code stands beside it
        mine = to_yaml(there.document)
    try:
        merged = merge(as_yaml(made.former, reader), mine, made.text)
    except BotInvalid:
        if canonical(there.document) != made.former.document:
            raise
        merged = Merged(made.text, ())  # as nobody changed it, the comments alone are lost
    conflicts = {each.path: each for each in (*made.conflicts, *merged.conflicts)}
    beside = python.read_text(encoding="utf-8") if python.exists() else ""
    text = made.python
    if beside not in (session.work.python_before, text, ""):
        if text != session.work.python_before:
            told_apart = session.work.python_before, beside, text
            conflicts["pytest"] = Conflict("pytest", *told_apart)
        text = beside
    return Saved(merged.text, text, list(conflicts.values()))


def _proposed(draft: Bot, before: dict[str, JSON]) -> dict[str, JSON]:
    """The draft as a definition: whether it may be started is no model's to say."""
    document = {key: each for key, each in draft.document.items() if key != "enabled"}
    return {**document, "enabled": before["enabled"]} if "enabled" in before else document
