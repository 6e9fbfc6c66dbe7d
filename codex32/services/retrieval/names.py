"""What collections may be called, and what their indexes are."""

import re

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def next_index(name: str) -> str:
    """The name of the index after this one."""
    stem, _, number = name.rpartition("_")
    return f"{stem}_{int(number) + 1}"
