"""Conversations kept between the calls of one execution, so that a server starts once for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from codex32.outside.mcp.conversation import Conversation
from codex32.outside.mcp.line import Line

#: A conversation in which nothing is asked for so long is ended.
IDLE_SECONDS = 30.0


class Kept:
    """Conversations that wait for the next call of whose they are.

    Args:
      leave: Ends one.
    """

    def __init__(self, leave: Callable[[Conversation], None]) -> None:
        self._leave = leave
        #: With the timer that ends each; the longest idle first.
        self._idle: list[tuple[Conversation, asyncio.TimerHandle]] = []

    def take(self, whose: Hashable) -> Conversation | None:
        """One of these, which is no longer kept; None where there is none."""
        for entry in self._idle:
            if entry[0].whose == whose:
                return self._taken(entry)
        return None

    def keep(self, talk: Conversation) -> None:
        """Keep one for a while."""
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._over, talk)
        self._idle.append((talk, timer))

    def let_go(self, kind: type[Line]) -> None:
        """End the one that was idle for longest, of a kind of line, if there is any."""
        for entry in self._idle:
            if isinstance(entry[0].line, kind):
                self._leave(self._taken(entry))
                return

    def close(self) -> None:
        """End all."""
        while self._idle:
            self._leave(self._taken(self._idle[0]))

    def _taken(self, entry: tuple[Conversation, asyncio.TimerHandle]) -> Conversation:
        self._idle.remove(entry)
        entry[1].cancel()
        return entry[0]

    def _over(self, talk: Conversation) -> None:
        self._idle = [each for each in self._idle if each[0] is not talk]
        self._leave(talk)
