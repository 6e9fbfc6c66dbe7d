"""What carries the messages of one conversation with a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from codex32.kernel.contracts.mcp import nobody_writes

Message: TypeAlias = Mapping[str, Any]

#: Bytes of one message, and of all that a server says around one call.
MOST_BYTES: Final = 4 * 1024 * 1024
MOST_BYTES_OF_ALL: Final = 16 * 1024 * 1024
_NO_METHOD: Final = {"code": -32601, "message": "Method not found"}


class Broken(Exception):
    """A server cannot be spoken to as it should be.

    Attributes:
      told: How, as the end of a sentence about the server.
      sent: Whether it may have heard what it was asked last.
    """

    def __init__(self, told: str, *, sent: bool = True) -> None:
        super().__init__(told)
        self.told, self.sent = told, sent


class Forgotten(Broken):
    """A server has forgotten the conversation, and so did nothing; it wants a new one."""

    def __init__(self, told: str) -> None:
        super().__init__(told, sent=False)


def answer_to(message: Message) -> Message | None:
    """What a server is told that asks something itself; None where it asks nothing.

    It may ask whether we are there, and nothing else was offered to it.
    """
    if "method" not in message or "id" not in message:
        return None
    answer = {"result": {}} if message["method"] == "ping" else {"error": _NO_METHOD}
    return {"jsonrpc": "2.0", "id": message["id"], **answer}


class Line(ABC):
    """Carries requests and answers, one at a time."""

    #: The revision that was agreed on.
    revision: str | None = None
    #: Told of each secret that the server is shown, for whoever asks just now.
    confide: Callable[[str], None] = staticmethod(nobody_writes)
    #: Bytes that the server may still say.
    left = MOST_BYTES_OF_ALL

    def afresh(self) -> None:
        """Let the server say as much again."""
        self.left = MOST_BYTES_OF_ALL

    def heard(self, count: int) -> None:
        """Count bytes that the server said.

        Raises:
          Broken: They are too many.
        """
        self.left -= count
        if self.left < 0:
            raise Broken(f"says more than {MOST_BYTES_OF_ALL} bytes")

    @abstractmethod
    async def ask(self, request: Message) -> Message:
        """The answer to a request: the message that bears its id.

        Raises:
          Broken: There will be none.
        """

    @abstractmethod
    async def tell(self, notice: Message) -> None:
        """Say what wants no answer.

        Raises:
          Broken: It cannot be said.
        """

    @abstractmethod
    async def close(self, *, well: bool) -> None:
        """End the conversation.

        Args:
          well: Whether it came to its end, so that the server may take its leave in peace.
        """
