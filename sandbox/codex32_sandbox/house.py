"""What a program may ask of the house, over its channel."""

from __future__ import annotations

import _thread
import fcntl
import os
import sys

from codex32_sandbox.bare import Socket, dumps
from codex32_sandbox.channel import ASK, LONGEST_WORD_BYTES, TELL, read_frame, send_text

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from typing import Any

#: Elsewhere no socket can be locked.
_LINUX = sys.platform == "linux"


class House:
    """Stands behind ``codex32_step``: one question at a time, of any thread, on Linux any fork."""

    def __init__(self, channel: Socket) -> None:
        self._channel = channel
        self._lock = _Lock(channel.fileno())
        self._asked = 0

    def tell(self, name: str, /, **values: Any) -> None:
        """Say something that needs no answer.

        Raises:
          TypeError: A value is no JSON.
          ValueError: It is too long, or a number is not finite.
        """
        word = _packed(name, values)
        with self._lock:
            send_text(self._channel, TELL, word)

    def ask(self, name: str, /, **values: Any) -> Any:
        """Ask, and wait for the answer.

        Raises:
          PermissionError: The bot's ``allow`` does not name it.
          RuntimeError: The house could not do it.
        """
        self._asked += 1
        mark = f"{os.getpid()}-{self._asked}"
        word = _packed(name, values, mark)
        with self._lock:
            send_text(self._channel, ASK, word)
            answer = read_frame(self._channel)
            while answer is not None and answer["mark"] != mark:
                # Meant for a process that was killed as it asked.
                answer = read_frame(self._channel)
        if answer is None:
            raise RuntimeError("the house does not answer any more")
        if "refused" in answer:
            raise PermissionError(answer["refused"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]


class _Lock:
    """Keeps threads apart, and on Linux processes that were forked and have the same channel."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._renew()
        # Whichever thread had it is not there in a fork.
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._threads = _thread.allocate_lock()

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            if _LINUX:
                fcntl.lockf(self._channel, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            if _LINUX:
                fcntl.lockf(self._channel, fcntl.LOCK_UN)
        finally:
            self._threads.release()


def _packed(name: str, values: dict[str, Any], *mark: str) -> bytes:
    word = dumps([name, values, *mark])
    if len(word) > LONGEST_WORD_BYTES:
        raise ValueError(f"{name}: {len(word)} bytes; at most {LONGEST_WORD_BYTES} are taken")
    return word
