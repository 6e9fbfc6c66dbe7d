"""What a service prints past its log, without the secrets that it was handed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import Any, TextIO

from codex32.kernel.masking import handed_out

#: Characters that are held for the end of their line.
_MOST_HELD = 64 * 1024


class Printed:
    """A stream for text that masks line by line, by value alone: what is printed is no log.

    A line goes on when it ends, or when somebody flushes. Of each thread the lines are its own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = threading.local()

    def write(self, text: str) -> int:
        """Take a part of a line, or lines."""
        held = f"{getattr(self._held, 'text', '')}{text}"
        end = len(held) if len(held) > _MOST_HELD else held.rfind("\n") + 1
        self._held.text = held[end:]
        if end:
            self._stream.write(handed_out.mask(held[:end]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Take each of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Let go what this thread has not ended."""
        held, self._held.text = getattr(self._held, "text", ""), ""
        if held:
            self._stream.write(handed_out.mask(held))
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's."""
        return getattr(self._stream, name)


def mask_what_is_printed() -> None:
    """Have this process print through :class:`Printed`. Its log goes its own way, as before."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Printed):
            setattr(sys, name, Printed(stream))
