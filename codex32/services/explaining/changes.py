"""What a change of a definition means: to whom it matters, before how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from codex32.kernel.bot import ALLOWED_LISTS, Bot
from codex32.kernel.json_values import JSON
from codex32.services.bots.diff import Change, diff
from codex32.services.bots.widening import widening

About = Literal["capability", "trigger", "step", "input", "output", "limit", "test", "text"]
#: What the top keys of a definition are about; the rest are limits.
_ABOUT: Mapping[str, About] = {
    "triggers": "trigger",
    "steps": "step",
    "on_failure": "step",
    "finally": "step",
    "type": "step",
    "with": "step",
    "foreach": "step",
    "inputs": "input",
    "output": "output",
    "tests": "test",
    "evals": "test",
    "name": "text",
    "description": "text",
    "labels": "text",
}
#: Keys that hold named parts.
_NAMED = frozenset({"steps", "on_failure", "finally", "inputs", "triggers", "tests"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that is other.

    Attributes:
      kind: ``added removed changed moved``, and of capabilities ``widened narrowed``.
      name: The step, input or trigger; of the others the key.
      text: A sentence without a full stop.
      paths: Where it is written.
    """

    about: About
    kind: str
    name: str
    text: str
    paths: Sequence[str] = ()

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {
            "about": self.about,
            "kind": self.kind,
            "name": self.name,
            "text": self.text,
            "paths": list(self.paths),
        }


def meanings(before: Bot, after: Bot) -> list[Meaning]:
    """What a person should know of a change, what it may do beyond the old one first."""
    found = list(_capabilities(before, after))
    changes = [each for each in diff(before.document, after.document) if _top(each) != "allow"]
    for (key, name), group in groupby(changes, _part):
        found.append(_meaning(key, name, list(group)))
    return sorted(found, key=lambda each: _ORDER.index(each.about))


_ORDER: Sequence[About] = (
    *("capability", "trigger", "step", "input", "output", "limit", "test", "text"),
)


def _capabilities(before: Bot, after: Bot) -> Iterator[Meaning]:
    wider = widening(before.allow, after.allow)
    for line in wider:
        yield Meaning("capability", "widened", _key(line), f"it may now: {line}", [_place(line)])
    for line in widening(after.allow, before.allow):
        # A limit that is new, or gone, counts as more either way.
        if _key(line) in ALLOWED_LISTS or _key(line) not in map(_key, wider):
            text = f"it may no longer: {line}"
            yield Meaning("capability", "narrowed", _key(line), text, [_place(line)])


def _key(line: str) -> str:
    return line.partition(":")[0]


def _place(line: str) -> str:
    return f"allow.{_key(line)}"


def _top(change: Change) -> str:
    return change.path.partition(".")[0]


def _part(change: Change) -> tuple[str, str]:
    """The key and the named part below it: one sentence for all that is other there."""
    key, _, rest = change.path.partition(".")
    return key, rest.partition(".")[0] if key in _NAMED else ""


def _meaning(key: str, name: str, changes: Sequence[Change]) -> Meaning:
    about = _ABOUT.get(key, "limit")
    paths = [each.path for each in changes]
    title = f"{_noun(key)} {name}".strip()
    first = changes[0]
    if name == "(order)":
        return Meaning(about, "moved", key, f"the {key} stand in another order", paths)
    if len(changes) == 1 and first.path == (f"{key}.{name}" if name else key):
        if first.kind != "changed":
            return Meaning(about, first.kind, name or key, f"{title} was {first.kind}", paths)
        return Meaning(about, "changed", name or key, str(first), paths)
    told = ", ".join(path.removeprefix(f"{key}.{name}." if name else f"{key}.") for path in paths)
    return Meaning(about, "changed", name or key, f"{title} is other in {told}", paths)


def _noun(key: str) -> str:
    nouns = {"steps": "step", "on_failure": "step", "finally": "step", "inputs": "input"}
    return {**nouns, "triggers": "trigger", "tests": "test"}.get(key, key)
