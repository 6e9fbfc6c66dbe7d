"""What a program may ask of the house, over its channel."""

from __future__ import annotations

import socket
import threading

from codex32_sandbox.channel import ASK, TELL, read_frame, send_frame

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from typing import Any


class House:
    """Stands behind ``codex32_step``; one question at a time, from any thread."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def tell(self, name: str, /, **values: Any) -> None:
        """Say something that needs no answer.

        Raises:
          TypeError: A value is no JSON.
        """
        with self._lock:
            send_frame(self._channel, TELL, [name, values])

    def ask(self, name: str, /, **values: Any) -> Any:
        """Ask, and wait for the answer.

        Raises:
          PermissionError: The bot's ``allow`` does not name it.
          RuntimeError: The house could not do it.
        """
        with self._lock:
            send_frame(self._channel, ASK, [name, values])
            answer = read_frame(self._channel)
        if answer is None:
            raise RuntimeError("the house does not answer any more")
        if "refused" in answer:
            raise PermissionError(answer["refused"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]
