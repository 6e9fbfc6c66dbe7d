"""Where in a bot file something failed: the step, or the line of it that the fault names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from codex32.engine.reading.document import Document, read_documents
from codex32.kernel.json_values import JSON

Path: TypeAlias = tuple[str | int, ...]

#: An expression that failed says which it is, from its beginning.
_EXPRESSION = re.compile(r"\(in: (.+)\)\Z", re.DOTALL)


def line_of(text: str, bot: str, step: str | None, error: Mapping[str, JSON]) -> int | None:
    """The line of what failed, from 1; None where the text no longer tells.

    Args:
      text: Of the bot file.
      bot: Its name: a file may hold several.
      step: The step that failed; None where it was the bot's output.
      error: What is recorded of it. A program names its own line, an expression itself.
    """
    documents = [each for each in read_documents(text) if isinstance(each.value, dict)]
    named = [each for each in documents if _mapping(each.value).get("name") == bot]
    for document in named or documents:
        if step is None:
            place: Path | None = ("output",)
        else:
            place = _path(_mapping(document.value), step)
        if place is not None:
            return (
                _of_program(document, place, step, error)
                or _of_expression(document, place, error)
                or document.problem(place or ("type",), "", key=place in ((), ("output",))).line
            )
    return None


def _of_program(
    document: Document, place: Path, step: str | None, error: Mapping[str, JSON]
) -> int | None:
    traceback = _mapping(error.get("detail")).get("traceback")
    found = re.findall(rf'File "<{step}>", line (\d+)', str(traceback))
    code = _mapping(_mapping(_value(document.value, place)).get("with")).get("code")
    if not found or not isinstance(code, str):
        return None
    before = "".join(code.splitlines(keepends=True)[: int(found[-1]) - 1])
    return document.problem((*place, "with", "code"), "", offset=len(before)).line


def _of_expression(document: Document, place: Path, error: Mapping[str, JSON]) -> int | None:
    told = _EXPRESSION.search(str(error.get("message")))
    if told is None:
        return None
    for path, text in _texts(_value(document.value, place), place):
        if (at := text.find(told[1])) >= 0:
            return document.problem(path, "", offset=at).line
    return None


def _texts(value: JSON, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in ``value``, in the order of the file, with where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(each, (*path, index))


def _path(bot: Mapping[str, JSON], step: str) -> Path | None:
    """Where a step stands in its bot: a bot of a single step is that step itself."""
    for section in ("steps", "on_failure", "finally"):
        steps = bot.get(section)
        for index, each in enumerate(steps if isinstance(steps, list) else ()):
            if _mapping(each).get("id") == step:
                return section, index
    return () if step == "main" and "steps" not in bot else None


def _value(value: JSON, path: Sequence[str | int]) -> JSON:
    for part in path:
        if isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            value = _mapping(value).get(str(part))
    return value


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}
