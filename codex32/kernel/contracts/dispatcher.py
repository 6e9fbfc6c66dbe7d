"""Carrying the ids of executions to workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar


class Dispatcher(ABC):
    """Tells workers that executions may run. The database stays the truth.

    A dispatch that is lost costs time, never an execution; one that comes twice does nothing.
    """

    name: ClassVar[str]

    @abstractmethod
    def dispatch(self, execution_ids: Sequence[str]) -> None:
        """Carry the ids; called after the commit, from any thread, with up to 1,000 at once.

        Must return within a second and must not raise: what cannot be carried is left to
        recovery.
        """

    @abstractmethod
    def depth(self) -> int | None:
        """How many ids wait to be fetched, or None where that cannot be told now."""

    def cancel(self, execution_ids: Sequence[str]) -> None:  # noqa: B027 - it is only quicker
        """Tell workers to look at once whether these shall be cancelled.

        Else they hear of it with their next heartbeat.
        Called after the commit, from any thread, with up to 1,000 ids. Must return within a
        second and must not raise.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of connections."""
