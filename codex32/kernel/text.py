"""Small helpers for words that people read and write: suggestions, durations, sizes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import PurePath

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


#: Later times cannot be told apart from mistakes, nor, before long, be written down.
LONGEST_SECONDS = 3650 * 86_400.0


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def storable(text: str) -> str:
    """``text`` as every database takes it: without NUL, and without halves of characters."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\x00", "\ufffd")


def file_told(path: str | None) -> str | None:
    """A file's folder and name: what people know it by, without where this machine keeps it."""
    return path and "/".join(PurePath(path).parts[-2:])


def parse_duration(text: str) -> float:
    """Seconds of ``500ms``, ``30s``, ``10m``, ``2h``, ``7d`` or a sum such as ``1h30m``.

    Raises:
      ValueError: The text is no duration, or one of more than ten years; the message says what
        one looks like.
    """
    total, end = 0.0, 0
    for match in _DURATION.finditer(text):
        if match.start() != end:
            break
        total += float(match[1]) * _UNITS[match[2]]
        end = match.end()
    if not text or end != len(text):
        raise ValueError(f"{text!r} is no duration; write for example 500ms, 30s, 10m, 2h or 7d")
    if total > LONGEST_SECONDS:
        raise ValueError(f"{text} is longer than ten years, and no duration may be")
    return total


def format_duration(seconds: float) -> str:
    """A short, human form: ``12ms``, ``3.4s``, ``5m20s``, ``2h05m``, ``3d04h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


_SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "KB": 1000, "MB": 1000**2}


def parse_size(text: str) -> int:
    """Bytes of ``512B``, ``64KiB``, ``1MiB``, ``2GiB``.

    Raises:
      ValueError: The text is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|KB|MB)", text)
    if not match:
        raise ValueError(f"{text!r} is no size; write for example 64KiB, 1MiB or 2GiB")
    return int(float(match[1]) * _SIZES[match[2]])
