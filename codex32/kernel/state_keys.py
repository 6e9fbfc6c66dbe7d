"""The keys of what a bot remembers: the same everywhere, so that people can look at each."""

from __future__ import annotations

#: Characters. Databases index keys, and take no longer ones.
LONGEST_KEY = 255


def key_fault(key: object) -> str | None:
    """Why something cannot be a key of a bot's state, or None."""
    if isinstance(key, str) and 0 < len(key) <= LONGEST_KEY and key.isprintable():
        return None
    shown = f"{key!r:.60}"
    return f"a key of the state is a text of 1 to {LONGEST_KEY} printable characters, not {shown}"
