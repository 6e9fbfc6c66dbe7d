"""What a change of a definition means: to whom it matters, before how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from codex32.engine.reading.building import kind_of
from codex32.kernel.bot import ALLOWED_LISTS, Bot
from codex32.kernel.json_values import JSON, canonical
from codex32.services.bots.diff import Change, diff, from_to, shortened
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
#: Keys that hold named parts, and what they hold where they are missing.
_NAMED: Mapping[str, JSON] = {
    **{key: [] for key in ("steps", "on_failure", "finally", "tests")},
    "inputs": {},
}


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
    found = [*_capabilities(before, after), *_triggers(before, after)]
    # Where a bot has none of them yet, each is told by its name, too.
    empty = {key: _NAMED[key] for key in _NAMED if key in {**before.document, **after.document}}
    old, new = ({**empty, **each.document} for each in (before, after))
    changes = [each for each in diff(old, new) if _top(each) not in ("allow", "triggers")]
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


def _triggers(before: Bot, after: Bot) -> Iterator[Meaning]:
    """They have no names: those that stay are left out, and the rest are told by their kind."""
    old, new = (list(enumerate(each.document.get("triggers", ()))) for each in (before, after))
    for each in list(old):
        same = next((other for other in new if canonical(other[1]) == canonical(each[1])), None)
        if same is not None:
            old.remove(each)
            new.remove(same)
    for place, was in old:
        kind = kind_of(was)
        other = next((each for each in new if kind_of(each[1]) == kind), None)
        if other is None:
            text = f"trigger {_told(was)} was removed"
            yield Meaning("trigger", "removed", kind, text, [f"triggers.{place}"])
            continue
        new.remove(other)
        paths = [f"triggers.{other[0]}.{each.path}" for each in diff(was, other[1])]
        text = f"trigger {_told(was)} became {_told(other[1])}"
        yield Meaning("trigger", "changed", kind, text, paths)
    for place, each in new:
        text = f"trigger {_told(each)} was added"
        yield Meaning("trigger", "added", kind_of(each), text, [f"triggers.{place}"])


def _told(trigger: Mapping[str, JSON]) -> str:
    """Its kind first: ``cron 0 8 * * *, timezone Europe/Berlin``."""
    kind = kind_of(trigger)
    named = {kind: trigger[kind], **trigger}
    return ", ".join(f"{key} {shortened(each)}" for key, each in named.items())


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
    above = f"{key}.{name}." if name else f"{key}."
    told = ", ".join(f"{each.path.removeprefix(above)}{_from_to(each)}" for each in changes)
    return Meaning(about, "changed", name or key, f"{title} is other in {told}", paths)


def _from_to(change: Change) -> str:
    """What a short value was and is; nothing where it cannot be told so."""
    values = change.before, change.after
    if change.kind == "added":
        return f" (added: {shortened(change.after)})"
    if change.kind == "removed":
        return f" (removed: {shortened(change.before)})"
    if any(isinstance(each, Mapping | list) for each in values):
        return ""
    return f" ({from_to(*values)})"


def _noun(key: str) -> str:
    nouns = {"steps": "step", "on_failure": "step", "finally": "step", "inputs": "input"}
    return {**nouns, "tests": "test"}.get(key, key)
