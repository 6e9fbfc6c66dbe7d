"""Texts of the command line as values: the inputs a bot declares, and JSON as it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from codex32.engine.reading.document import read_documents
from codex32.kernel.bot import Bot
from codex32.kernel.errors import InputsInvalid
from codex32.kernel.json_values import JSON


def read_fields(fields: Mapping[str, Any], pairs: Sequence[str]) -> dict[str, JSON]:
    """What ``--field name=value`` fills in; a value is read as its field's schema declares it.

    Raises:
      UsageError: A pair has no ``=``.
    """
    return {name: _value(text, fields.get(name, {})) for name, text in _split(pairs, "--field")}


def read_inputs(bot: Bot, pairs: Sequence[str], file: str | None) -> dict[str, JSON]:
    """Inputs from ``name=value`` texts, which win, and from a YAML or JSON file (``-``: stdin).

    A value is read as the bot declares it: a text as it stands, all else as JSON. What does not
    fit is left for ``check_inputs`` to tell.

    Raises:
      UsageError: A pair has no ``=``, or the file is no mapping.
    """
    inputs = {} if file is None else _from_file(file)
    for name, text in _split(pairs, "--input"):
        inputs[name] = _value(text, bot.inputs.get(name, {}))
    return inputs


def _split(pairs: Sequence[str], option: str) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        name, found, text = pair.partition("=")
        if not found:
            raise click.UsageError(f"{option} {pair}: write name=value")
        yield name, text


def _value(text: str, schema: Mapping[str, Any]) -> JSON:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds == ["string"] or (not kinds and isinstance(schema.get("default"), str)):
        return text
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text
    # A text that happens to look like a number stays one where numbers are not asked for.
    wants_text = "string" in kinds and not isinstance(value, _types(kinds))
    return text if wants_text else value


def _types(kinds: Sequence[str]) -> tuple[type, ...]:
    known = {
        "integer": int, "number": (int, float), "boolean": bool,
        "array": list, "object": dict, "null": type(None),
    }  # fmt: skip
    found: list[type] = []
    for kind in kinds:
        each: Any = known.get(kind, ())
        found += each if isinstance(each, tuple) else [each]
    return tuple(found)


def json_of(option: str, text: str | None) -> Any:
    """The value of an option that holds JSON, ``@FILE`` or ``@-``; None where it is not given.

    Raises:
      click.UsageError: It is no JSON.
    """
    if text is None:
        return None
    place = option
    if text.startswith("@"):
        place = "standard input" if text == "@-" else text[1:]
        try:
            text = sys.stdin.read() if text == "@-" else Path(place).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise click.UsageError(f"{place} is no UTF-8 text") from None
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise click.UsageError(f"{place} is no JSON: {error}; a text needs its quotes") from None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _from_file(file: str) -> dict[str, JSON]:
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    documents = read_documents(text, file="standard input" if file == "-" else file)
    problems = [problem for each in documents for problem in each.problems]
    if problems:
        raise InputsInvalid("the inputs cannot be read:", problems)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise click.UsageError(f"--inputs {file}: it must hold one mapping of names to values")
    return dict(documents[0].value)
