"""Rows as people and programs read them."""

from __future__ import annotations

from codex32.kernel.clock import from_micros


def iso(micros: int | None) -> str | None:
    """A stored time as ISO 8601 in UTC, or None."""
    if micros is None:
        return None
    return from_micros(micros).isoformat(timespec="milliseconds").replace("+00:00", "Z")
