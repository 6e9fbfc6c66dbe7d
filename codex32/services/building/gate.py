"""What a draft must be before anybody sees it: read, valid, and naming nothing that was made up.

The model's word counts for nothing here. Whatever it was talked into (by a description, by a page
that somebody pasted into one) is either named by the person and shown to them, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any, Final

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.document import dotted, read_documents
from codex32.engine.reading.writing import to_yaml
from codex32.kernel.bot import Allow, Bot
from codex32.kernel.components import Components
from codex32.kernel.json_values import JSON
from codex32.kernel.text import did_you_mean
from codex32.services.bots.written import storable
from codex32.services.building.keeping import gone, kept
from codex32.services.building.known import FROM_DATA, Known, named
from codex32.services.cases.python_tests import pytest_is_there, python_of
from codex32.services.explaining.recipients import addresses_in, apart, parts_of, recipients_of
from codex32.services.retrieval.links import is_allowed

#: Faults that a model is told at once.
MOST_FAULTS = 20
_WRITE = (
    "this is a secret, or looks like one, or is called one; name it in allow.secrets and write "
    "${{ secrets.NAME }}"
)
#: Keys below ``with`` that name what is used, and the list of ``allow`` that has to name it.
_USES: Final = {
    "url": "hosts",
    "urls": "hosts",
    "model": "models",
    "fallback": "models",
    "connection": "connections",
    "requires": "packages",
}
#: Others, that mean it in the step of one type alone.
_USED_BY: Final = {
    "bot": {"name": "bots"},
    "index": {"path": "files", "embedder": "embedders", "store": "vector_stores"},
}
#: Of those, what has to be installed instead.
_INSTALLED: Final = {"embedders": "embedder", "vector_stores": "vector store"}
#: The same of triggers.
_TRIGGERS: Final = (("mail", "host", "hosts"), ("file", "path", "files"))
#: A URL as far as its host, where no expression makes that.
_PLACE: Final = re.compile(r"https?://(?:(?!\$\{\{)[^/?#])*(?=[/?#]|\Z)", re.IGNORECASE)
#: Characters of pytest.
_MOST_PYTHON = 50_000


class Refused(Exception):
    """A draft that cannot be taken.

    Attributes:
      faults: Why, in words a model can act on.
      strange: ``hosts``, ``secrets`` and ``recipients`` that nobody named, where nothing else is
        wrong: a person may say that they are meant.
    """

    def __init__(
        self, faults: Sequence[str], strange: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults[:MOST_FAULTS])
        self.strange = strange or {}


@dataclass(frozen=True, slots=True)
class _Stranger:
    """What nobody named: one of ``hosts``, ``secrets``, ``recipients``."""

    about: str
    name: str
    fault: str


@dataclass(frozen=True, slots=True)
class Gate:
    """Looks at drafts of one session.

    Attributes:
      words: All that the person said.
      name: Of the bot that is refined; None where it may have any that is free.
    """

    reader: Reader
    known: Known
    words: str
    name: str | None = None

    def draft(self, text: str) -> Bot:
        """The bot of a draft without tests, if it may be shown.

        Raises:
          Refused: It may not.
        """
        bot = self._read(text)
        if bot.tests:
            raise Refused(["leave out `tests`: they are written in a step of their own"])
        faults = [
            *self._name(bot),
            *self._powers(bot.allow),
            *_unpermitted(bot, self.known.components),
            *self._by_data(bot),
            *self._written(bot.document),
        ]
        strangers = [*self._strange_powers(bot.allow), *self._strange_recipients(bot)]
        if not faults and not strangers:
            return bot
        asks: dict[str, list[str]] = {}
        for each in () if faults else strangers:
            names = asks.setdefault(each.about, [])
            if each.name not in names:
                names.append(each.name)
        raise Refused([*faults, *(each.fault for each in strangers)], asks)

    def with_tests(self, bot: Bot, tests: str, former: Sequence[JSON] = ()) -> Bot:
        """The bot with these tests, and those of ``former`` that they leave out.

        Raises:
          Refused: They are none, or do not fit the bot.
        """
        documents = read_documents(tests)
        if not documents:
            raise Refused(["tests: is empty; write a YAML list of tests"])
        if documents[0].problems:
            raise Refused([f"tests: {each}" for each in documents[0].problems])
        value = documents[0].value
        if isinstance(value, dict) and set(value) == {"tests"}:
            value = value["tests"]
        if not isinstance(value, list) or not value:
            raise Refused(["tests: must be a YAML list with at least one test"])
        value = kept(former, value, partial(self._fits, bot))
        tested = self._read(to_yaml({**bot.document, "tests": value}))
        if faults := list(self._secrets(tested.document)):
            raise Refused(faults)
        return tested

    def python(self, bot: Bot, text: str, former: str = "", *, needed: bool = True) -> str:
        """Tests of its Python; empty where it has none.

        Args:
          bot: A draft.
          text: What a model wrote; where it wrote nothing, ``former`` stays.
          former: pytest that is there, of which no test is dropped.
          needed: Whether there has to be some.

        Raises:
          Refused: It has some, and these are none, or lack one that is there.
        """
        steps = [name for name, _, _ in python_of(bot)]
        if not steps:
            return ""
        if not pytest_is_there():
            return former
        if not text.strip() and (former or not needed):
            return former
        if not text.strip():
            raise Refused([f"python: is empty; write pytest for the Python of {', '.join(steps)}"])
        if len(text) > _MOST_PYTHON:
            raise Refused([f"python: write at most {_MOST_PYTHON} characters"])
        if faults := list(self._secrets({"python": text})):
            raise Refused(faults)
        try:
            lost = gone(former, text, steps)
        except (SyntaxError, ValueError) as error:
            raise Refused([f"python: it is no Python: {error}"]) from None
        if lost:
            told = (f"python: {name} is there: keep it, or write it anew" for name in lost)
            raise Refused(list(told))
        return storable(text)

    def _fits(self, bot: Bot, test: JSON) -> bool:
        document = {**bot.document, "tests": [test]}
        return not self.reader.check_document(document).problems

    def _read(self, text: str) -> Bot:
        reading = self.reader.read_text(text, default_name=self.name)
        if reading.problems:
            raise Refused([str(each) for each in reading.problems])
        if len(reading.bots) != 1:
            raise Refused([f"write one bot, not {len(reading.bots)}"])
        return reading.bots[0]

    def _name(self, bot: Bot) -> Iterator[str]:
        if self.name is not None and bot.name != self.name:
            yield f"name: it is called {self.name}, and stays so"
        elif self.name is None and bot.name in self.known.bots:
            yield f"name: there is a bot {bot.name} already; take another name"

    def _strange_powers(self, allow: Allow) -> Iterator[_Stranger]:
        known = self.known
        for host in known.strange_hosts(allow.hosts, self.words):
            fault = f"allow.hosts: {host} was made up: the person named no such host"
            yield _Stranger("hosts", host, fault)
        for name in known.strange_secrets(allow.secrets, self.words):
            hint = did_you_mean(name, known.secrets)
            fault = f"allow.secrets: {name} was made up: there is no such secret{hint}"
            yield _Stranger("secrets", name, fault)

    def _powers(self, allow: Allow) -> Iterator[str]:
        known = self.known
        for name in known.strange_models(allow.models, self.words):
            yield f"allow.models: {name} was made up: no provider that is installed has it"
        for key, there in (("connections", known.connections), ("bots", known.bots)):
            for name in getattr(allow, key):
                if name not in there:
                    yield f"allow.{key}: there is no {name}{did_you_mean(name, there)}"
        for name in allow.mcp:
            if name not in known.allow.mcp and not named(name, self.words.lower()):
                yield f"allow.mcp: {name} was made up: the person named no such MCP server"
        for name in allow.packages:
            project = re.split(r"[^A-Za-z0-9._-]", name, maxsplit=1)[0]
            if name not in known.allow.packages and not named(project, self.words.lower()):
                yield f"allow.packages: {name} was made up: the person named no such package"
        if allow.models and "execution" not in allow.spend_usd:
            yield "allow.spend_usd: say what one execution may cost: {execution: 0.05}"
        if allow.files and not all(self._said(each) for each in allow.files):
            yield "allow.files: the person named no such files"

    def _strange_recipients(self, bot: Bot) -> Iterator[_Stranger]:
        """Whoever is told something was named by the person, address by address."""
        known, words = self.known, self.words
        for each in recipients_of(bot):
            if each.bounded:
                continue  # its host or server is gated, and what is told there is shown
            for target in known.strange_recipients(each.written, words):
                fault = f"{each.part}: {target} was made up: the person named no such recipient"
                yield _Stranger("recipients", target, fault)
        work, about = apart(bot.document)
        told = [each for each in addresses_in(about) if each.lower() not in known.mentioned]
        for address in known.strange_recipients([*addresses_in(work), *told], words):
            fault = f"{address} was made up: the person named no such mail address"
            yield _Stranger("recipients", address, fault)

    def _by_data(self, bot: Bot) -> Iterator[str]:
        """Data decides who is told only where the person said so."""
        known, by_data = self.known, named(FROM_DATA, self.words.lower())
        for each in recipients_of(bot):
            if each.bounded:
                continue
            if "${{" in each.via and each.via.lower() not in known.recipients:
                yield f"{each.part}: write out which notifier it is, not {each.via}"
            if each.from_data and not by_data and each.target.lower() not in known.recipients:
                yield (
                    f"{each.part}: {each.target} lets data decide who is told, and the person did "
                    "not say so; write the recipient out, or as ${{ secrets.NAME }}"
                )

    def _said(self, file: JSON) -> bool:
        path = file if isinstance(file, str) else str(dict(file).get("path", ""))
        return file in self.known.allow.files or named(path, self.words.lower())

    def _written(self, document: Mapping[str, JSON]) -> Iterator[str]:
        for each in self.known.written_in(document):
            yield f"{dotted(each.path)}: {_WRITE}"

    def _secrets(self, document: Mapping[str, JSON]) -> Iterator[str]:
        for path, text in _texts(document, ""):
            if self.known.gives_away(text):
                yield f"{path}: {_WRITE}"


def _unpermitted(bot: Bot, there: Components) -> Iterator[str]:
    """What it names and does not permit itself: a name that was made up is found in ``allow``.

    Or it is not installed, where ``allow`` says nothing of its kind.

    It would be refused when the bot runs, which tests that answer for the whole step never show.
    """
    for part, value in parts_of(bot.document):
        for kind, name in _used(value):
            if what := _INSTALLED.get(kind):
                if name not in (installed := getattr(there, kind)):
                    known = ", ".join(sorted(installed))
                    yield f"{part}: no {what} is called {name}; leave it out, or take of: {known}"
                continue
            allowed = getattr(bot.allow, kind)
            if kind == "hosts":
                found = _PLACE.match(name if "://" in name else f"https://{name}")
                fits = found is None or is_allowed(found[0], allowed)
            elif kind == "files":
                fits = "${{" in name or any(_is_below(name, each) for each in allowed)
            else:
                fits = "${{" in name or name in allowed
                fits = fits or any(fnmatchcase(name, each) for each in allowed)
            if not fits:
                yield f"{part}: {name} is not in allow.{kind}; name it there, or leave it out"


def _is_below(path: str, entry: JSON) -> bool:
    """Whether a place is that of an entry, or below it; true where a folder decides it."""
    top = entry if isinstance(entry, str) else str(dict(entry).get("path", ""))
    here, there = PurePosixPath(normpath(path)), PurePosixPath(normpath(top))
    return here.is_absolute() != there.is_absolute() or here.is_relative_to(there)


def _used(value: JSON) -> Iterator[tuple[str, str]]:
    """Hosts, models, connections, packages, bots and files of steps, of tools, of triggers."""
    if isinstance(value, list):
        for each in value:
            yield from _used(each)
    if not isinstance(value, Mapping):
        return
    given = value.get("with")
    if isinstance(given, Mapping) and isinstance(value.get("type"), str):
        uses = {**_USES, **_USED_BY.get(value["type"], {})}
        for key, kind in uses.items():
            names = given.get(key, ())
            listed = names if isinstance(names, list) else [names]
            yield from ((kind, each) for each in listed if isinstance(each, str))
        yield from _used(given.get("tools"))
    for trigger, key, kind in _TRIGGERS:
        place = value.get(trigger)
        if isinstance(place, Mapping) and isinstance(place.get(key), str):
            yield kind, place[key]


def untested(text: str) -> str:
    """A bot that was read before, without its tests."""
    document = read_documents(text)[0].value
    return to_yaml({key: each for key, each in document.items() if key != "tests"})


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield f"a key of {path}", key
            yield from _texts(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(each, f"{path}[{index}]")
