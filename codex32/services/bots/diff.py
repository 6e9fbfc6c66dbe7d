"""What changed between two definitions, told by what their parts are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from codex32.kernel.json_values import JSON, canonical, dumps

_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
      path: Dotted; steps go by their ids: ``steps.fetch.with.url``.
      before: None where something was added; ``after`` where something was removed.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    before: JSON = None
    after: JSON = None

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"{self.path}: added {shortened(self.after)}"
            case "removed":
                return f"{self.path}: removed {shortened(self.before)}"
        return f"{self.path}: {from_to(self.before, self.after)}"

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON output."""
        return {
            "path": self.path,
            "kind": self.kind,
            "before": self.before,
            "after": self.after,
        }


def diff(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> list[Change]:
    """The differences that turn ``before`` into ``after``, by path."""
    return sorted(_compare("", before, after), key=lambda change: change.path)


def _compare(path: str, before: Any, after: Any) -> Iterator[Change]:
    old, new = parts_of(before), parts_of(after)
    if old is None or new is None or isinstance(before, list) is not isinstance(after, list):
        # True and 1 are equal to Python, and not in a bot file, nor in a list of one.
        if canonical(before) != canonical(after):
            yield Change(path, "changed", before, after)
        return
    for name in old.keys() | new.keys():
        below = f"{path}.{name}" if path else str(name)
        if name not in new:
            yield Change(below, "removed", before=old[name])
        elif name not in old:
            yield Change(below, "added", after=new[name])
        else:
            yield from _compare(below, old[name], new[name])
    kept = [name for name in old if name in new]
    if isinstance(after, list) and kept != [name for name in new if name in old]:
        yield Change(f"{path}.(order)", "changed", list(old), list(new))


def parts_of(value: Any) -> Mapping[str, Any] | None:
    """What a value is made of, by name; None for what is compared as a whole."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list) and value:
        if not all(isinstance(item, Mapping) for item in value):
            return None
        names = [item.get("id", item.get("name")) for item in value]
        if None in names or len(set(names)) < len(names):
            return {str(place): item for place, item in enumerate(value)}
        return dict(zip(map(str, names), value, strict=True))
    return {} if isinstance(value, list) else None


def from_to(before: JSON, after: JSON) -> str:
    """What a value was and is, in one line for people; of long ones where they differ."""
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        places = _places(before, after)
        if places:
            number, was, now = places[0]
            more = f"; and {len(places) - 1} more places" if len(places) > 1 else ""
            told = from_to(" ".join(was.split()) or "nothing", " ".join(now.split()) or "nothing")
            return f"line {number}: {told}{more}"
    texts = [_line(each) for each in (before, after)]
    shared = 0
    if max(map(len, texts)) > _LONGEST:
        pairs = enumerate(zip(*texts, strict=False))
        alike = next((at for at, (one, other) in pairs if one != other), min(map(len, texts)))
        shared = max(0, alike - _LONGEST // 3)
    return " -> ".join(_cut(f"…{each[shared:]}" if shared else each) for each in texts)


def changed_lines(before: str, after: str) -> list[str]:
    """The lines of a text that are other: ``- `` before those that go, ``+ `` before new ones."""
    return [
        f"{sign} {line}"
        for _, *sides in _places(before, after)
        for sign, side in zip("-+", sides, strict=True)
        for line in side.splitlines()
    ]


def _places(before: str, after: str) -> list[tuple[int, str, str]]:
    """Where two texts differ: the line, what stands there in the one, and in the other."""
    old, new = before.splitlines(), after.splitlines()
    return [
        (start + 1, "\n".join(old[start:end]), "\n".join(new[first:last]))
        for tag, start, end, first, last in SequenceMatcher(None, old, new).get_opcodes()
        if tag != "equal"
    ]


def shortened(value: JSON) -> str:
    """A value in one line for people, as far as it goes there."""
    return _cut(_line(value))


def _line(value: JSON) -> str:
    return value if isinstance(value, str) and "\n" not in value else dumps(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
