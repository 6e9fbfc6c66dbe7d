"""Carries ids of executions to Dramatiq workers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from codex32 import Dispatcher
from codex32.kernel.fault_points import fault_point

if TYPE_CHECKING:
    from codex32_workers.tickets import Tickets


class DramatiqDispatcher(Dispatcher):
    """Puts a Dramatiq message for each execution into Redis."""

    name: ClassVar[str] = "dramatiq"

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url

    @cached_property
    def _tickets(self) -> Tickets:
        """Dramatiq and its Redis client, which a process that starts nothing does without."""
        from codex32_workers.tickets import Tickets

        return Tickets(self._url)

    def dispatch(self, execution_ids: Sequence[str]) -> None:
        """Add the messages; where Redis does not answer, recovery does it later."""
        fault_point("dispatch.before")
        self._tickets.push(execution_ids)
        fault_point("dispatch.after")

    def cancel(self, execution_ids: Sequence[str]) -> None:
        """Tell workers; where Redis does not answer, they hear with their next heartbeat."""
        self._tickets.cancel(execution_ids)

    def depth(self) -> int | None:
        """Messages that no worker has fetched yet."""
        return self._tickets.depth()

    def close(self) -> None:
        """Close the connections to Redis."""
        if "_tickets" in self.__dict__:
            self._tickets.close()
