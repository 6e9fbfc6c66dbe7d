"""Reading what a program says on its channel, within bounds."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from codex32_sandbox.channel import ANSWER, HEAD_BYTES, LONGEST_WORD_BYTES

#: What is read at once is handed on at once, and meanwhile nothing else is done.
_CHUNK_BYTES = 64 * 1024


class Channel:
    """Hands each frame to ``on_frame(kind, body)``; reading stops while it says so.

    Args:
      line: To the cell, not blocking; it is not closed here.
      on_frame: Called on the event loop; whatever the body holds, it comes from the program.
      on_end: Called once, when nothing comes any more: with the reason if it was too much.
      longest_answer: Bytes.
      expects_descriptor: Whether one may come, with the first frame; all others are closed.
    """

    def __init__(
        self,
        line: socket.socket,
        on_frame: Callable[[bytes, bytes], None],
        on_end: Callable[[str], None],
        longest_answer: int,
        *,
        expects_descriptor: bool,
    ) -> None:
        self._line = line
        self._on_frame, self._on_end = on_frame, on_end
        self._longest_answer = longest_answer
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._paused = self._closed = False
        self._expects_descriptor = expects_descriptor
        self._descriptor: int | None = None
        self._loop.add_reader(line, self._read)

    def pause(self) -> None:
        """Hand on no frame until :meth:`resume`."""
        self._paused = True
        self._loop.remove_reader(self._line)

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        if not self._closed:
            self._loop.add_reader(self._line, self._read)
            self._hand_on()

    def descriptor(self) -> int:
        """The descriptor that came; from now on it is the caller's."""
        taken, self._descriptor = self._descriptor, None
        if taken is None:
            raise ValueError("no descriptor came along")
        return taken

    def close(self) -> None:
        """Read no more, and let go of a descriptor that nobody took."""
        self._closed = True
        self._loop.remove_reader(self._line)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._line, _CHUNK_BYTES, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            if self._expects_descriptor:
                self._expects_descriptor, self._descriptor = False, descriptor
            else:
                os.close(descriptor)
        if data:
            self._buffer += data
            self._hand_on()
        else:
            self._end("")

    def _hand_on(self) -> None:
        while not (self._paused or self._closed) and len(self._buffer) >= HEAD_BYTES:
            kind = bytes(self._buffer[:1])
            size = int.from_bytes(self._buffer[1:HEAD_BYTES], "big")
            if size > (self._longest_answer if kind == ANSWER else LONGEST_WORD_BYTES):
                self._end("too-long")
                return
            if len(self._buffer) < HEAD_BYTES + size:
                return
            body = bytes(self._buffer[HEAD_BYTES : HEAD_BYTES + size])
            del self._buffer[: HEAD_BYTES + size]
            self._expects_descriptor = False
            self._on_frame(kind, body)

    def _end(self, why: str) -> None:
        if not self._closed:
            self.close()
            self._on_end(why)
