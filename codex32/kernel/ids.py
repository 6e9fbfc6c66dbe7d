"""Identifiers: a kind, an underscore, and 26 characters that sort by time.

The 26 characters are a ULID (https://github.com/ulid/spec): 48 bits of milliseconds and 80
random bits in Crockford's base 32, lower case. Those that one process makes within a millisecond
count on, as the specification has it, so that they sort as they were made. Ids are made here and
nowhere else; what a caller sends is looked up, never joined into a path.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
#: From the alphabet to the digits of Python's base 32; what is not in it is none of them.
_DIGITS = dict.fromkeys(range(128), "!") | str.maketrans(
    _ALPHABET, "0123456789abcdefghijklmnopqrstuv"
)
ID_PATTERN = re.compile(r"^[a-z]+_[0-9a-hjkmnp-tv-z]{26}$")


def new_id(kind: str, *, now: Callable[[], float] = time.time) -> str:
    """A fresh id such as ``exe_01jd…``."""
    return _written(kind, _numbers.draw(int(now() * 1000)))


class _Numbers:
    """Numbers for ids: time and chance, counted on within a millisecond. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = 0
        # A child goes on from another number than its parent.
        os.register_at_fork(after_in_child=self._forget)

    def draw(self, milliseconds: int) -> int:
        """The next number of this millisecond."""
        with self._lock:
            if self._latest >> 80 == milliseconds:
                self._latest += 1
            else:
                self._latest = (milliseconds << 80) | int.from_bytes(os.urandom(10))
            return self._latest

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._latest = 0


_numbers = _Numbers()


def first_id(kind: str, at: int) -> str:
    """An id that sorts before all that are made from ``at`` (microseconds) on."""
    return _written(kind, max(at, 0) // 1000 << 80)


def _written(kind: str, number: int) -> str:
    out = [""] * 13
    for place in range(12, -1, -1):
        out[place] = _PAIRS[number & 1023]
        number >>= 10
    return f"{kind}_{''.join(out)}"


def made_at(made: str) -> int:
    """When an id was made, in microseconds, to the millisecond; what is no id raises."""
    begins = made.index("_") + 1
    return int(made[begins : begins + 10].translate(_DIGITS), 32) * 1000
