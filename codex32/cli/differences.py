"""What is other in a folder here than on a server: the work of ``plan`` and ``apply``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from codex32.cli.files import bot_files, doubled
from codex32.cli.remote import call
from codex32.engine.reading.definition import Reader, Reading
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.services.bots.diff import Change, diff
from codex32.services.bots.written import FILE, RUN, Written

if TYPE_CHECKING:
    from codex32.cli.context import Context

Action = Literal["create", "change", "delete", "only there", "unchanged", "refused"]
_YAML = {"Content-Type": "application/yaml"}
_JSON = {"Content-Type": "application/json"}
#: How often the server is asked where it wants patience.
_TRIES = 6


class Server:
    """The bots of a workspace on a server.

    Args:
      url: Of the server.
      token: That it takes.
      workspace: Whose bots; None for the only one that the token opens.
    """

    def __init__(self, url: str, token: str, workspace: str | None = None) -> None:
        self.url = url
        self._headers = {"X-Workspace": workspace} if workspace else {}
        self._call = partial(call, url, token=token, tries=_TRIES)

    def bots(self) -> Iterator[Mapping[str, Any]]:
        """Every bot that is there, page by page."""
        cursor: str | None = None
        while True:
            asked = urlencode({"limit": 100} | ({} if cursor is None else {"cursor": cursor}))
            page = self._call("GET", f"/api/v1/bots?{asked}", headers=self._headers)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def definition(self, name: str) -> Mapping[str, JSON]:
        """The live definition of a bot."""
        path = f"/api/v1/bots/{name}/definition?format=json"
        found: Mapping[str, JSON] = self._call("GET", path, headers=self._headers)
        return found

    def version(self, name: str, number: int) -> Mapping[str, Any]:
        """A version of a bot with its definition."""
        path = f"/api/v1/bots/{name}/versions/{number}"
        found: Mapping[str, Any] = self._call("GET", path, headers=self._headers)
        return found

    def carry_out(self, entry: Entry, message: str) -> Mapping[str, Any]:
        """Create, change or delete what an entry says; what the server answers.

        Raises:
          CommandFailed: It refuses, or somebody changed the bot meanwhile.
        """
        tag = {"If-Match": f'"{entry.tag}"'} if entry.tag else {"If-None-Match": "*"}
        path, headers = f"/api/v1/bots/{entry.name}", {**self._headers, **tag}
        if entry.action == "delete" or entry.here is None:
            self._call("DELETE", path, headers=headers)
            return {}
        path += f"?{urlencode({'message': message})}" if message else ""
        kind = _YAML if entry.here.plain else _JSON
        told: Mapping[str, Any] = self._call(
            "PUT", path, data=entry.here.body, headers={**headers, **kind}
        )
        return told


@dataclass(frozen=True, slots=True)
class Here:
    """A bot of the folder.

    Attributes:
      plain: Its file holds it alone, whole, so that the file's text can be sent, comments and all.
    """

    written: Written
    file: Path
    plain: bool

    @property
    def body(self) -> bytes:
        """What is sent to the server."""
        return (self.written.text if self.plain else self.written.document).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be done about one bot.

    Attributes:
      tag: Of what is there; None where nothing is.
      changes: What is other here, by path.
      reason: Why it is refused.
    """

    name: str
    action: Action
    here: Here | None = None
    tag: str | None = None
    changes: Sequence[Change] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON output."""
        return {
            "name": self.name,
            "action": self.action,
            "file": str(self.here.file) if self.here else None,
            "changes": [each.as_dict() for each in self.changes],
            "reason": self.reason,
        }


@dataclass(slots=True)
class Difference:
    """Everything that is other, by name.

    Attributes:
      problems: Faults of files here; their bots are in no entry.
    """

    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def work(self) -> list[Entry]:
        """What there is to do."""
        return [each for each in self.entries if each.action in ("create", "change", "delete")]

    def count(self, action: Action) -> int:
        """How many bots this is to be done about."""
        return sum(each.action == action for each in self.entries)


def compare(context: Context, server: Server, paths: Sequence[Path], *, prune: bool) -> Difference:
    """Compare the bot files of ``paths`` with a server.

    Args:
      context: Of the command.
      server: Elsewhere.
      paths: Files and folders; without any the folders of the settings.
      prune: What is only there is to be deleted; not while files have faults.
    """
    out = Difference()
    here = _read(context, paths, out.problems)
    # Nobody knows which bots a file with faults was meant to hold: then nothing is deleted.
    spare: Action = "delete" if prune and not out.problems else "only there"
    for there in server.bots():
        mine = here.pop(there["name"], None)
        if mine is not None:
            out.entries.append(_entry(server, mine, there))
        elif there["origin"] not in (FILE, RUN):
            out.entries.append(Entry(there["name"], spare, tag=there["tag"]))
    out.entries += [Entry(name, "create", each) for name, each in here.items()]
    out.entries.sort(key=lambda entry: entry.name)
    return out


def _read(context: Context, paths: Sequence[Path], problems: list[Problem]) -> dict[str, Here]:
    reader = Reader(context.plugins.components, [context.plugins.check_bot])
    readings = {path: reader.read_path(path) for path in bot_files(context, paths)}
    problems += [problem for each in readings.values() for problem in each.problems]
    problems += doubled(readings)
    found: dict[str, Here] = {}
    for path, reading in readings.items():
        for bot in reading.bots:
            text = path.read_text(encoding="utf-8")
            written = Written.of(bot, text, FILE, str(path))
            found.setdefault(bot.name, Here(written, path, _is_plain(reading)))
    return found


def _is_plain(reading: Reading) -> bool:
    return len(reading.documents) == 1 and not reading.dependencies


def _entry(server: Server, mine: Here, there: Mapping[str, Any]) -> Entry:
    name, tag = mine.written.bot.name, there["tag"]
    if there["origin"] == FILE:
        reason = f"there it belongs to the file {there['source']}"
        same = there["digest"] == mine.written.digest
        return Entry(name, "unchanged" if same else "refused", mine, tag, reason=reason)
    digest, waiting = there["digest"], there["waiting_version"]
    if waiting is not None:
        version = server.version(name, waiting)
        digest, definition = version["digest"], version["definition"]
    elif digest == mine.written.digest:
        definition = mine.written.bot.document
    else:
        definition = {} if digest is None else server.definition(name)
    if digest == mine.written.digest:
        return Entry(name, "unchanged", mine, tag)
    changes = diff(definition, dict(mine.written.bot.document))
    return Entry(name, "change", mine, tag, changes)
