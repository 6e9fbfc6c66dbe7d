"""Taking over a former installation: what would happen, doing it, and comparing afterwards.

Bots of a former installation become bots of the API. Folders are somebody's own truth, often a
checkout: nothing is written into them, and what is taken over can be changed at once, here, and
exported to a folder whenever somebody wants that (``GET /bots/{name}/definition``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml
from codex32.kernel.caller import Caller
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow, VersionRow
from codex32.services.bots import bots
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import API, Written
from codex32.services.former.entries import Entry, read_registry, unlisted
from codex32.services.former.translating import left_over, translated

Outcome = Literal["taken", "there", "changed", "refused"]


@dataclass(slots=True)
class Taken:
    """What becomes of one entry, or became of it.

    Attributes:
      outcome: ``taken``: it is new here; ``there``: it was taken before; ``changed``: its code or
        its entry is other than when it was taken, and that is a new version; ``refused``.
      digest: SHA-256 of its code as it lies there.
      version: Number, once it is stored.
    """

    entry: Entry
    outcome: Outcome
    written: Written | None = None
    digest: str | None = None
    version: int | None = None

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON output."""
        entry = self.entry
        return {
            "called": entry.called,
            "name": entry.name,
            "outcome": self.outcome,
            "reason": entry.refused,
            "notes": list(entry.notes),
            "owner": self.written.owner if self.written else None,
            "file": entry.file,
            "sha256": self.digest,
            "version": self.version,
            "left_over": left_over(entry),
        }


@dataclass(slots=True)
class Report:
    """An account of every entry.

    Attributes:
      unlisted: Code that the registry does not name; it is not taken.
      differing: Names of bots whose stored code is not what lies in their file.
    """

    entries: list[Taken] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome) -> int:
        """How many entries came to this."""
        return sum(each.outcome == outcome for each in self.entries)

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON output."""
        outcomes: tuple[Outcome, ...] = ("taken", "there", "changed", "refused")
        return {
            "entries": [each.as_dict() for each in self.entries],
            "counts": {each: self.count(each) for each in outcomes},
            "unlisted": list(self.unlisted),
            "differing": list(self.differing),
        }


class Takeover:
    """Takes a former installation over into one workspace.

    Args:
      path: Its folder, or its registry.
      reader: Checks what is made of it.
      registry: Keeps it.
      by: Who takes it over; the owner of what names no other.
      workspace: Whose it becomes.
    """

    def __init__(
        self, path: Path, reader: Reader, registry: Registry, by: Caller, workspace: str
    ) -> None:
        self._path, self._reader, self._registry = path, reader, registry
        self._by, self._workspace = by, workspace

    def look(self) -> Report:
        """What would happen; a function for ``Door.read``.

        Raises:
          RegistryUnreadable: There is no registry, or it is none.
        """
        root, entries = read_registry(self._path)
        return Report([self._judged(each) for each in entries], unlisted(root, entries))

    def carry_out(self, items: Sequence[Taken], now: int, *, live: bool) -> None:
        """Store entries that are to be taken; a function for ``Door.write``.

        Args:
          items: Of a report; one that somebody changed meanwhile is refused.
          now: Microseconds.
          live: Whether triggers may start new bots at once; else they are paused.
        """
        for item in items:
            if item.written is None or item.outcome not in ("taken", "changed"):
                continue
            before = bots.find(item.written.bot.name, self._workspace)
            item.outcome = self._outcome(item.entry, item.written, before)
            if item.outcome == "refused":
                continue
            stored = self._registry.store(
                item.written, now, by=self._by, workspace=self._workspace
            )
            item.version = stored.number
            if before is None and not live:
                bots.pause(item.written.bot.name, now, by=self._by, workspace=self._workspace)

    def verify(self, report: Report) -> None:
        """Compare what is stored with what lies there; a function for ``Door.read``."""
        report.differing = [each for each in self._differing(report)]

    def _differing(self, report: Report) -> Iterator[str]:
        for item in report.entries:
            if item.outcome == "refused" or item.written is None:
                continue
            version = self._version(item.written)
            code = "" if version is None else loads(version.document)["with"]["code"]
            original = code[: len(item.entry.code or "")]
            if version is None or _digest(original) != item.digest:
                yield item.written.bot.name
            else:
                item.version = version.number

    def _judged(self, entry: Entry) -> Taken:
        if entry.refused is not None or entry.code is None:
            return Taken(entry, "refused")
        digest = _digest(entry.code)
        try:
            document = translated(entry)
        except ValueError as error:
            entry.refused = str(error)
            return Taken(entry, "refused", digest=digest)
        reading = self._reader.check_document(document, name=entry.name)
        if reading.problems:
            entry.refused = "; ".join(str(problem) for problem in reading.problems)
            return Taken(entry, "refused", digest=digest)
        owner = entry.said.get("owner")
        made = entry.said.get("created_at")
        written = Written.of(
            reading.only_bot(),
            to_yaml(document),
            API,
            f"registry:{entry.name}",
            author=self._by.name,
            message="taken over" + (f"; made at {made}" if isinstance(made, str) else ""),
            owner=owner if isinstance(owner, str) else "",
        )
        row = bots.find(written.bot.name, self._workspace)
        return Taken(entry, self._outcome(entry, written, row), written, digest)

    def _outcome(self, entry: Entry, written: Written, row: BotRow | None) -> Outcome:
        if row is None or row.removed_at is not None:
            return "taken"
        if self._version(written) is not None:
            return "there"
        if row.source == written.source and row.origin == API:
            return "changed"
        entry.refused = f"a bot {row.name!r} is there already, and was not taken from here"
        return "refused"

    def _version(self, written: Written) -> VersionRow | None:
        """The version that holds what is written, if it was ever stored."""
        row = bots.find(written.bot.name, self._workspace)
        if row is None:
            return None
        same = (VersionRow.bot_id == row.id) & (VersionRow.digest == written.digest)
        found: VersionRow | None = VersionRow.select().where(same).first()
        return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
