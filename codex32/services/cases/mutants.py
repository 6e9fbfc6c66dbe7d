"""Mutants: a bot with one fault put in, as a person or a model may put it in.

What tests do not notice on a mutant they would not notice in the bot. Faults are put in where a
test can see them: in steps, in what they are given and when they are done, in the output.
Triggers, limits of time and prompts are left alone, since no test of a bot file runs them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from codex32.engine.reading.building import MAIN, condition_of
from codex32.engine.reading.checking import SECTIONS
from codex32.engine.reading.definition import Reader
from codex32.engine.reading.document import Document
from codex32.kernel.bot import Bot
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON, canonical
from codex32.kernel.text import parse_duration
from codex32.services.cases.mutated_expressions import condition_faults, text_faults
from codex32.services.cases.mutated_python import python_faults

#: Mutants of a bot where nobody says how many.
MOST: Final = 40
#: Parameters that say what a step is, not what it does.
_LEFT: Final = frozenset({"code", "file", "requires", "runtime", "schema", "form"})
#: Parameters for models: their words have no single right form.
_PROMPTS: Final = frozenset({"prompt", "system", "messages"})
#: Parameters whose entries may be forgotten one by one.
_ENTRIES: Final = frozenset({"json", "form", "query", "values", "state", "data", "headers"})
_NO_PYTHON: Final = {"type": "python", "with": {"code": "def main(**given):\n    return None\n"}}
_PASSES_ALL: Final = "def main(items):\n    return items\n"

Path = tuple[str | int, ...]
_GONE: Final = object()


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bot with one fault.

    Attributes:
      kind: ``step if value code guard output input``, by what the fault is in.
      path: Where it is in the document.
      what: In words: ``== became !=``.
      line: Of a step's code, the line of the fault in it, from 1.
    """

    bot: Bot
    kind: str
    path: Path
    what: str
    line: int | None = None

    def where(self, document: Document) -> int:
        """The line of the file whose ``document`` the bot was read from; 0 where none is told."""
        offset = None
        if self.line is not None:
            offset = _offset(document.value, self.path, self.line)
        return document.problem(self.path, "", key=offset is None, offset=offset).line


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: str
    path: Path
    what: str
    value: JSON
    line: int | None = None


def mutants_of(bot: Bot, reader: Reader, *, seed: int = 0, most: int = MOST) -> list[Mutant]:
    """At most ``most`` mutants of ``bot``, the same ones for the same seed.

    Kinds take turns, so that long code leaves room for the rest. What could not be stored, or
    says the same as the bot, is none.
    """
    document = {key: value for key, value in bot.document.items() if key not in ("tests", "evals")}
    by_kind: dict[str, list[_Fault]] = {}
    for fault in _faults(document):
        by_kind.setdefault(fault.kind, []).append(fault)
    chance = random.Random(seed)  # noqa: S311 - it is to be the same every time
    for faults in by_kind.values():
        chance.shuffle(faults)
    seen = {canonical(document)}
    found: list[Mutant] = []
    while len(found) < most and any(by_kind.values()):
        for faults in by_kind.values():
            if not faults or len(found) == most:
                continue
            fault = faults.pop()
            made = _apply(document, fault)
            if (text := canonical(made)) in seen:
                continue
            seen.add(text)
            reading = reader.check_document(made)
            if not reading.problems:
                mutant = reading.bots[0]
                found.append(Mutant(mutant, fault.kind, fault.path, fault.what, fault.line))
    return found


def emptied(bot: Bot, reader: Reader) -> Bot:
    """The bot whose steps are all there, and do nothing: no test that it passes proves anything.

    A step that a test answers for is answered for here, too.
    """

    def hollow(steps: Sequence[Any]) -> list[JSON]:
        return [
            {
                **{key: step[key] for key in ("id", "needs") if key in step},
                "type": "set",
                "with": {},
                **(_NO_PYTHON if step.get("type") == "python" else {}),
            }
            for step in steps
        ]

    document = {key: bot.document[key] for key in ("name", "inputs") if key in bot.document}
    steps = bot.document.get("steps") or [{"id": MAIN, "type": bot.document.get("type")}]
    document["steps"] = hollow(steps)
    for section in SECTIONS[1:]:
        if bot.document.get(section):
            document[section] = hollow(bot.document[section])
    return reader.from_document(document)


# where faults can be


def _faults(document: Mapping[str, Any]) -> Iterator[_Fault]:
    for name, schema in document.get("inputs", {}).items():
        if isinstance(schema, Mapping) and "default" in schema:
            yield from _values("input", ("inputs", name, "default"), schema["default"])
    for path, step in _steps(document):
        yield from _of_step(path, step)
        if path:
            yield _without(document, path, step)
    yield from _guards((), document, ("retry",))
    if document.get("output") is not None:
        yield _Fault("output", ("output",), "is empty", _GONE)
        yield from _values("output", ("output",), document["output"])


def _steps(document: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if "steps" not in document:
        yield (), document
    for section in SECTIONS:
        for index, step in enumerate(document.get(section, ())):
            yield (section, index), step


def _without(document: Mapping[str, Any], path: Path, dropped: Mapping[str, Any]) -> _Fault:
    """A step is not there; what needed it needs what it needed."""
    section, index = str(path[0]), path[1]
    steps = []
    for place, step in enumerate(document[section]):
        if place == index:
            continue
        needs = step.get("needs")
        if needs is not None and dropped["id"] in needs:
            others = [each for each in needs if each != dropped["id"]]
            step = {**step, "needs": [*others, *dropped.get("needs", ())]}
        steps.append(step)
    what = f"the step {dropped['id']} is left out"
    return _Fault("step", path, what, steps)


def _of_step(path: Path, step: Mapping[str, Any]) -> Iterator[_Fault]:
    if (condition := condition_of(step)) is not None:
        for what, text in condition_faults(condition):
            yield _Fault("if", (*path, "if"), f"if {what}", text)
    if "foreach" in step:
        yield from _values("value", (*path, "foreach"), step["foreach"])
    yield from _guards(path, step, ("retry", "on_item_error", "on_error"))
    params = step.get("with", {})
    if step.get("type") == "dedupe":
        args = {"items": params.get("items")}
        instead = {**step, "type": "python", "with": {"args": args, "code": _PASSES_ALL}}
        yield _Fault("guard", path, "lets pass what was seen before", instead)
    for name, value in params.items():
        here = (*path, "with", name)
        if name == "code" and isinstance(value, str):
            yield from _code(here, value)
        elif name not in _LEFT:
            yield from _values("value", here, value, words=name not in _PROMPTS)
            if name in _ENTRIES and isinstance(value, Mapping):
                for key in value:
                    yield _Fault("value", (*here, key), "is left out", _GONE)


def _guards(path: Path, raw: Mapping[str, Any], names: Sequence[str]) -> Iterator[_Fault]:
    for name in names:
        if name in raw:
            yield _Fault("guard", (*path, name), f"{name} is left out", _GONE)


def _code(path: Path, code: str) -> Iterator[_Fault]:
    try:
        for what, line, text in python_faults(code):
            yield _Fault("code", path, what, text, line)
    except (SyntaxError, ValueError, RecursionError):
        return  # what cannot be parsed fails whatever is done to it


def _values(kind: str, path: Path, value: JSON, *, words: bool = True) -> Iterator[_Fault]:
    match value:
        case bool():
            yield _Fault(kind, path, f"{value} became {not value}", not value)
        case int() | float():
            yield _Fault(kind, path, f"{value} became {value + 1}", value + 1)
        case str():
            if not _is_duration(value):
                yield from _text(kind, path, value, words=words)
        case Mapping():
            for key, each in value.items():
                yield from _values(kind, (*path, key), each, words=words)
        case list():
            for index, each in enumerate(value):
                yield from _values(kind, (*path, index), each, words=words)


def _text(kind: str, path: Path, value: str, *, words: bool) -> Iterator[_Fault]:
    try:
        for what, text in text_faults(value, words=words):
            yield _Fault(kind, path, what, text)
    except ExpressionFault:
        return


def _is_duration(text: str) -> bool:
    """Pauses pass at once in tests, however long they are."""
    try:
        return parse_duration(text) >= 0
    except ValueError:
        return False


# putting one in


def _apply(document: Mapping[str, Any], fault: _Fault) -> dict[str, JSON]:
    path = fault.path[:1] if fault.kind == "step" else fault.path
    if not path:
        value: dict[str, JSON] = dict(fault.value)
        return value
    made: dict[str, JSON] = _set(document, path, fault.value)
    return made


def _set(value: Any, path: Path, instead: JSON) -> Any:
    """A copy of ``value`` that says something else at ``path``."""
    first, rest = path[0], path[1:]
    copied: Any = dict(value) if isinstance(value, Mapping) else list(value)
    if not rest and instead is _GONE:
        del copied[first]
    else:
        copied[first] = _set(copied[first], rest, instead) if rest else instead
    return copied


def _offset(value: Any, path: Path, line: int) -> int | None:
    """Where a line of code begins in the text at ``path``; None where the file holds no code."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    lines = str(value).splitlines(keepends=True)
    return len("".join(lines[: line - 1]))
