"""Reading the lines that a process writes, as they come, within bounds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_CHUNK_BYTES = 64 * 1024
#: A line is a row, however short it is.
_MOST_LINES = 10_000
#: Before the bound so much of a line that it cuts is left out: a secret may begin there, which
#: nobody would know by its beginning.
_UNSURE_BYTES = 4 * 1024
#: What may still stand in a pipe when its writers are gone.
_REST_BYTES = 1024 * 1024


class LineReader:
    """Hands each line of a pipe to ``on_line(stream, line)`` from the event loop.

    A line is never cut in pieces, for a secret in two pieces would not be known; what is no UTF-8
    becomes U+FFFD. After ``max_bytes``, or 10,000 lines, one line says so, and the rest is read
    and forgotten: a program that writes too much is neither stopped nor held up.
    """

    def __init__(
        self, descriptor: int, stream: str, on_line: Callable[[str, str], None], max_bytes: int
    ) -> None:
        self._descriptor = descriptor
        self._stream = stream
        self._on_line = on_line
        self._left = max_bytes
        self._lines_left = _MOST_LINES
        self._rest = bytearray()
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def finish(self) -> None:
        """Take what is there already, then stop; for when the writers are gone."""
        for _ in range(_REST_BYTES // _CHUNK_BYTES):
            if not self._read():
                break
        self._loop.remove_reader(self._descriptor)
        if self._rest:
            self._tell(self._rest)
            self._rest.clear()

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self._loop.remove_reader(self._descriptor)
        elif self._left > 0:
            self._take(chunk)
        return bool(chunk)

    def _take(self, chunk: bytes) -> None:
        kept = chunk[: self._left]
        self._left -= len(chunk)
        *ends, rest = kept.split(b"\n")
        if ends:
            lines = [bytes(self._rest) + ends[0], *ends[1:]]
            for line in lines[: self._lines_left]:
                self._tell(line)
            self._lines_left -= len(lines)
            self._rest.clear()
        self._rest += rest
        if self._lines_left < 0:
            self._left = 0
            self._rest.clear()
        if self._left <= 0:
            if sure := self._rest[:-_UNSURE_BYTES]:
                self._tell(sure)
            self._rest.clear()
            self._on_line(self._stream, "[more output was left out]")

    def _tell(self, line: bytes | bytearray) -> None:
        self._on_line(self._stream, line.decode(errors="replace").removesuffix("\r"))
