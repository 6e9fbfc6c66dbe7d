"""Reading bots: from YAML text, a path or plain data to checked, immutable :class:`Bot` values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex32.engine.reading import document as yaml_document
from codex32.engine.reading.building import build_bot, steps_of
from codex32.engine.reading.checking import SECTIONS, Check
from codex32.engine.reading.document import Document, read_documents
from codex32.engine.reading.inlining import ReadFile, folder_reader, inline_files
from codex32.engine.reading.schema import STRUCTURE
from codex32.engine.values.validation import Finding, Validator
from codex32.kernel.bot import Bot
from codex32.kernel.components import Components
from codex32.kernel.errors import BotInvalid
from codex32.kernel.json_values import JSON, is_json
from codex32.kernel.problems import Problem, sort_problems

#: A plugin's further check of a bot: the hook ``check_bot``.
BotCheck = Callable[[Bot], Iterable[Problem]]
_structure = Validator(STRUCTURE, trusted=True)


@dataclass(frozen=True, slots=True)
class ReadBot:
    """One document of a file.

    Attributes:
      name: The bot that was meant; None where not even that can be told.
      bot: The bot; None where there are problems.
    """

    name: str | None
    bot: Bot | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file or a body holds.

    Attributes:
      documents: Its documents, in order; a syntax fault makes the file a single one.
      dependencies: Files that it names, relative to it, found or not: when one of them changes,
        the bots change.
    """

    documents: tuple[ReadBot, ...]
    dependencies: tuple[str, ...] = ()

    @property
    def bots(self) -> list[Bot]:
        """The bots without a problem."""
        return [each.bot for each in self.documents if each.bot]

    @property
    def problems(self) -> list[Problem]:
        """All problems, in the order of the file."""
        return sort_problems(problem for each in self.documents for problem in each.problems)

    def only_bot(self, subject: str = "the definition") -> Bot:
        """The bot of a reading that should be one bot without a fault.

        Raises:
          BotInvalid: It has problems, or is not exactly one bot.
        """
        if problems := self.problems:
            raise BotInvalid(f"{subject} has faults:", problems)
        if len(self.bots) != 1:
            raise BotInvalid(f"{subject} holds {len(self.bots)} bots, not one", ())
        return self.bots[0]


class Reader:
    """Reads bots for the components that are installed.

    Args:
      components: Bot types, trigger types and notifiers that bots may use.
      checks: What plugins may object to.
    """

    def __init__(self, components: Components, checks: Sequence[BotCheck] = ()) -> None:
        self._components, self._checks = components, checks

    @property
    def components(self) -> Components:
        """What is installed."""
        return self._components

    def read_path(self, path: Path) -> Reading:
        """Read a bot file; the bot's name is by default the file's stem.

        A file that cannot be read gives a reading whose one problem says why.
        """
        try:
            if not path.is_file():
                raise OSError(0, "it is no file")
            with path.open("rb") as file:
                text = file.read(yaml_document.MAX_BYTES + 1)
        except OSError as error:
            problem = Problem(
                f"cannot be read: {error.strerror}", file=str(path), code="unreadable"
            )
            return Reading((ReadBot(path.stem, None, (problem,)),))
        return self.read_text(
            text, file=str(path), default_name=path.stem, read_file=folder_reader(path.parent)
        )

    def read_text(
        self,
        text: str | bytes,
        *,
        file: str | None = None,
        default_name: str | None = None,
        read_file: ReadFile | None = None,
    ) -> Reading:
        """Read YAML (or JSON) with one or several bots.

        Args:
          text: At most 256 KiB of UTF-8.
          file: What problems call the file.
          default_name: The name of a bot that has none, where the file holds one document.
          read_file: Gives the text of a file named in the bot file; None refuses such files.
        """
        documents = read_documents(text, file=file)
        if not documents:
            problem = Problem("the file holds no bot", file=file, code="empty")
            return Reading((ReadBot(default_name, None, (problem,)),))
        default = default_name if len(documents) == 1 else None
        named: list[str] = []
        taken: set[str] = set()
        read = [self._read(each, default, read_file, named, taken) for each in documents]
        return Reading(tuple(read), tuple(dict.fromkeys(named)))

    def check_document(self, document: Mapping[str, JSON], *, name: str | None = None) -> Reading:
        """Check plain data, such as an API body; problems have paths and no places."""
        if not is_json(document):
            problem = Problem("a definition is JSON data: texts, numbers, lists, mappings")
            return Reading((ReadBot(name, None, (problem,)),))
        if places := list(_broken_texts(document)):
            message = "a text holds half a character (a lone surrogate); write the whole one"
            problems = (Problem(message, yaml_document.dotted(place)) for place in places)
            return Reading((ReadBot(name, None, tuple(problems)),))
        value = copy.deepcopy(dict(document))
        return Reading((self._read(Document(value), name, None, [], set()),))

    def from_document(self, document: Mapping[str, JSON]) -> Bot:
        """The bot of a stored version; nothing is checked again but that its parts are installed.

        Raises:
          BotInvalid: A bot type or trigger type is no longer installed, or the document was
            never one that this house stored.
        """
        try:
            bot = build_bot(document)
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise BotInvalid(
                f"the stored definition cannot be understood: {error!r}", ()
            ) from None
        types, triggers = self._components.bot_types, self._components.trigger_types
        missing = [
            Problem(f"the bot type {step.type!r} is not installed", f"steps.{step.id}")
            for step in (*bot.steps, *bot.on_failure, *bot.finally_)
            if step.type not in types
        ]
        missing += [
            Problem(f"the trigger type {each.kind!r} is not installed", f"triggers.{index}")
            for index, each in enumerate(bot.triggers)
            if each.kind not in triggers
        ]
        if missing:
            raise BotInvalid(f"{bot.name} needs what is not installed:", missing)
        return bot

    def self_contained(self, document: Mapping[str, JSON]) -> dict[str, Any]:
        """A stored definition that names no files, for it holds their text."""
        made = copy.deepcopy(dict(document))
        for _, raw in _raw_steps(made):
            kind, params = self._components.bot_types.get(raw.get("type", "")), raw.get("with")
            if kind is not None and isinstance(params, dict):
                for source, target in kind.inlined_files.items():
                    if target in params:
                        params.pop(source, None)
        return made

    def _read(
        self,
        document: Document,
        default: str | None,
        read_file: ReadFile | None,
        named: list[str],
        taken: set[str],
    ) -> ReadBot:
        value, problems = document.value, list(document.problems)
        if not isinstance(value, dict):
            if not problems:
                problems.append(document.problem((), "a bot is a mapping of keys", "type"))
            return ReadBot(default, None, tuple(problems))
        if "name" not in value and default is not None:
            value = {"name": default, **value}
        findings = _structure.findings(value)
        name = self._name(document, value, findings, taken, problems)
        problems += [document.problem(f.path, f.message, f.code, key=f.key) for f in findings]
        sound = _without(value, findings) if findings else value
        problems += self._inline(document, sound, read_file, named)
        problems += Check(document, sound, self._components).problems()
        if problems:
            return ReadBot(name, None, tuple(sort_problems(problems)))
        bot = build_bot(value)
        problems += [_placed(document, each) for check in self._checks for each in check(bot)]
        return ReadBot(name, None if problems else bot, tuple(problems))

    def _name(
        self,
        document: Document,
        value: Mapping[str, Any],
        findings: Sequence[Finding],
        taken: set[str],
        problems: list[Problem],
    ) -> str | None:
        name = value.get("name")
        if name is None:
            message = "'name' is missing; where a file holds several bots each says its own"
            problems.append(document.problem((), message, "missing"))
            return None
        if any(each.path == ("name",) for each in findings):
            return None
        if name in taken:
            message = f"two bots of this file are called {name!r}"
            problems.append(document.problem(("name",), message, "duplicate"))
        taken.add(name)
        return str(name)

    def _inline(
        self,
        document: Document,
        value: Mapping[str, Any],
        read_file: ReadFile | None,
        named: list[str],
    ) -> list[Problem]:
        problems = []
        for path, raw in _raw_steps(value):
            kind = self._components.bot_types.get(raw.get("type", ""))
            params = raw.get("with")
            if kind and kind.inlined_files and isinstance(params, dict):
                for key, message in inline_files(params, kind, read_file, named):
                    problems.append(document.problem((*path, "with", key), message, "file"))
        return problems


def _raw_steps(
    value: Mapping[str, Any],
) -> Iterable[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    if "steps" not in value:
        yield from (((), raw) for raw in steps_of(value))
    for section in SECTIONS:
        for index, raw in enumerate(value.get(section, ())):
            if isinstance(raw, Mapping):
                yield (section, index), raw


def _broken_texts(value: JSON, place: yaml_document.Path = ()) -> Iterator[yaml_document.Path]:
    """Where texts stand, or mappings with keys, that are not UTF-8."""
    match value:
        case str() if not _is_text(value):
            yield place
        case list():
            for index, inner in enumerate(value):
                yield from _broken_texts(inner, (*place, index))
        case dict():
            for key, inner in value.items():
                if _is_text(key):
                    yield from _broken_texts(inner, (*place, key))
                else:
                    yield place


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def _without(value: dict[str, Any], findings: Sequence[Finding]) -> dict[str, Any]:
    """A copy without what is built wrongly, so that the rest can still be checked."""
    out = copy.deepcopy(value)
    for each in sorted(findings, key=lambda finding: -len(finding.path)):
        if each.code == "missing" or not each.path:
            continue
        parent: Any = out
        for part in each.path[:-1]:
            parent = parent[part]
        if isinstance(parent, dict):
            parent.pop(each.path[-1], None)
        elif isinstance(parent, list):
            # The places of the items behind it must not move.
            parent[int(each.path[-1])] = None
    return out


def _placed(document: Document, problem: Problem) -> Problem:
    path = tuple(int(part) if part.isdigit() else part for part in problem.path.split(".") if part)
    return document.problem(path, problem.message, problem.code)
