"""Who is told something by a bot, and who said so: its file, whoever starts it, or the data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from codex32.engine.expressions import expressions_in
from codex32.kernel.bot import Bot
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON

_REQUEST: Final = "http "
_SERVER: Final = "MCP server "
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SECRET: Final = re.compile(r"secrets\.\w+")
_INPUT: Final = re.compile(r"inputs\.(\w+)")
#: Quotes may stand in one, and an address of a machine instead of a name; in a URL, in JSON and in
#: HTML the sign between may be written otherwise.
_AT: Final = re.compile(r"%40|\\u0040|&#(?:64|x40);", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"[\w.+'\"-]+@(?:[\w-]+(?:\.[\w-]+)+|\[[^\]\s]+\])")
#: Keys of a bot that change nothing of what it does.
_ABOUT: Final = frozenset({"description", "labels", "tests", "evals"})


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody, or some machine, that is told something.

    Attributes:
      via: The notifier; ``approve`` where it is asked, ``http POST`` … where it is a request,
        ``MCP server NAME`` where a tool of one may.
      target: As the file has it; empty for whomever the notifier tells by itself.
      part: Id of the step, ``triggers.N`` or ``alerts.N``.
      written: Every text of the file that the target is, or is made of. Secrets are none: what
        they are their owner said.
      from_data: Whether something else decides, too, which only running would tell.
    """

    via: str
    target: str
    part: str
    written: Sequence[str] = ()
    from_data: bool = False

    @property
    def bounded(self) -> bool:
        """Whether ``allow`` bounds it, which names its host or its server."""
        return self.via.startswith((_REQUEST, _SERVER))

    def __str__(self) -> str:
        return f"{self.via} {self.target}".rstrip()


def parts_of(document: Mapping[str, Any]) -> Iterator[tuple[str, JSON]]:
    """What a definition consists of, by the names that people are told."""
    for key in ("triggers", "alerts"):
        for index, each in enumerate(document.get(key, ())):
            yield f"{key}.{index}", each
    for section in ("steps", "on_failure", "finally"):
        for step in document.get(section, ()):
            yield step["id"], step
    if "steps" not in document:
        yield "main", {key: document[key] for key in ("type", "with") if key in document}


def addresses_in(value: JSON) -> list[str]:
    """Mail addresses in any text of a value."""
    match value:
        case str():
            return [found.lstrip("'\"") for found in _ADDRESS.findall(_AT.sub("@", value))]
        case list():
            return [found for each in value for found in addresses_in(each)]
        case Mapping():
            return [found for key, each in value.items() for found in addresses_in([key, each])]
    return []


def apart(document: Mapping[str, JSON]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """What a bot does, and what only describes it or tries it out: anybody's prose."""
    work = {key: each for key, each in document.items() if key not in _ABOUT}
    return work, {key: document[key] for key in document if key in _ABOUT}


def recipients_of(bot: Bot) -> list[Recipient]:
    """All that a bot tells, tools of agents and alerts among it, each once a part."""
    found = (
        Recipient(via, target, part, *_sources(target, bot, frozenset()))
        for part, value in parts_of(bot.document)
        for each in mappings_in(value)
        for via, target in _told(each)
    )
    return list(dict.fromkeys(found))


def mappings_in(value: JSON) -> Iterator[Mapping[str, JSON]]:
    """All mappings anywhere in a value, such as steps and tools; the outer ones first."""
    if isinstance(value, list):
        for each in value:
            yield from mappings_in(each)
    elif isinstance(value, Mapping):
        yield value
        for each in value.values():
            yield from mappings_in(each)


def _told(value: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """Ways of telling and their targets, of one step, tool or alert."""
    given = value.get("with")
    match value.get("type"):
        case "notify" if isinstance(given, Mapping):
            yield str(given.get("to", "")), str(given.get("target", ""))
        case "approve" if isinstance(given, Mapping):
            asked = given.get("to", ())
            for each in asked if isinstance(asked, list) else [asked] if asked else []:
                yield "approve", str(each)
        case "http" if isinstance(given, Mapping):
            method = str(given.get("method", "GET")).upper()
            if method not in _READS:
                yield f"{_REQUEST}{method}", str(given.get("url", ""))
        case "mcp" if isinstance(given, Mapping) and given.get("writes") is not False:
            yield f"{_SERVER}{given.get('server', '')}", str(given.get("tool", ""))
    for notice in notices if isinstance(notices := value.get("notify"), list) else ():
        if isinstance(notice, Mapping):
            yield str(notice.get("to", "")), str(notice.get("target", ""))


def _sources(text: str, bot: Bot, seen: frozenset[str]) -> tuple[tuple[str, ...], bool]:
    """The texts of the file that ``text`` is made of, and whether it is made of more."""
    try:
        parts = expressions_in(text)
    except ExpressionFault:  # the reader refuses it; here nothing may be taken for harmless
        return (text,), True
    written: list[str] = []
    from_data = False
    for part in parts:
        if isinstance(part, str):
            written.append(part)
        elif (found := _INPUT.fullmatch(part.text)) and found[1] not in seen:
            for value in _given(found[1], bot):
                more, data = _sources(value, bot, seen | {found[1]})
                written += more
                from_data |= data
        elif not _SECRET.fullmatch(part.text):
            from_data = True
    return tuple(written), from_data


def _given(name: str, bot: Bot) -> Iterator[str]:
    """What an input is where nobody who starts the bot says otherwise."""
    default = bot.inputs.get(name, {}).get("default")
    values = [default, *(each.inputs.get(name) for each in bot.triggers)]
    return (str(each) for each in values if each is not None)
