"""What one capability manifest allows beyond another: what a person may have to approve."""

from __future__ import annotations

from collections.abc import Iterator

from codex32.kernel.bot import ALLOWED_LISTS, Allow
from codex32.kernel.json_values import canonical

#: Where the file names no limit, the house's own holds.
_LIMITS = {
    "memory": "memory_bytes",
    "cpu": "cpu_seconds",
    "processes": "processes",
    "disk": "disk_bytes",
}


def widening(before: Allow, after: Allow) -> list[str]:
    """What ``after`` allows and ``before`` does not, a line each: ``hosts: example.com``.

    An entry that is not written in ``before`` counts as more, even where a pattern there might
    cover it: a person can tell, and a doubt is theirs to settle.
    """
    return [*_named(before, after), *_limits(before, after), *_spending(before, after)]


def _named(before: Allow, after: Allow) -> Iterator[str]:
    for name in ALLOWED_LISTS:
        had = {canonical(each) for each in getattr(before, name)}
        for entry in getattr(after, name):
            if canonical(entry) not in had:
                yield f"{name}: {entry if isinstance(entry, str) else canonical(entry)}"


def _limits(before: Allow, after: Allow) -> Iterator[str]:
    for name, field in _LIMITS.items():
        yield from _raised(name, getattr(before, field), getattr(after, field))


def _spending(before: Allow, after: Allow) -> Iterator[str]:
    if after.models or after.spend_usd:
        for span in sorted({*before.spend_usd, *after.spend_usd}):
            old, new = before.spend_usd.get(span), after.spend_usd.get(span)
            yield from _raised(f"spend_usd.{span}", old, new)


def _raised(name: str, old: float | None, new: float | None) -> Iterator[str]:
    """A limit that is higher than before, or that is new or gone: nobody knows what held then."""
    if new != old and (new is None or old is None or new > old):
        yield f"{name}: {'no limit of its own' if new is None else new}"
