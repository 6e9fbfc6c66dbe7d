"""Live streams: one look at the rows for all listeners of a process, each told in order.

Workers write rows and tell nobody. While somebody listens, one task of the process looks at what
is new several times a second, whatever the number of listeners, and passes it on in the order of
the rows. Who begins, or comes back, reads the rows itself up to where the look has come, and joins
there. docs/explanation/events.md tells what that promises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

from codex32.kernel.clock import Clock
from codex32.kernel.database import Door, is_outage, snapshot
from codex32.kernel.json_values import dumps
from codex32.kernel.models import database_proxy
from codex32.services.events.feed_events import EventFeeds, Filter
from codex32.services.events.feed_executions import ExecutionFeeds
from codex32.services.events.feed_mailbox import Mailbox, Telling, Told
from codex32.services.events.feed_marks import Marks, settle, take
from codex32.services.events.feed_standing import Standing, standings

log = logging.getLogger(__name__)

#: Between two looks; longer where looking itself takes long.
PAUSE_SECONDS = 0.2
#: Of a core that looking may take.
_MOST_OF_A_CORE = 0.2
_AFTER_A_FAULT_SECONDS = 1.0
#: As much is handed on at once, where there is so much.
TOGETHER = 100
#: A listener who has fallen behind is let go if it has not caught up after so long.
CATCH_UP_SECONDS = 60.0

#: What there was before a position, and then, through the mailbox, what comes.
_Join = Callable[[str, Mailbox], Telling]


class Feeds:
    """The streams of one process. Belongs to one event loop."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door = door
        self._executions = ExecutionFeeds(door)
        self._events = EventFeeds(door, clock)
        self._looking: asyncio.Task[None] | None = None
        self._joining = asyncio.Event()
        #: How many are open.
        self.streams = 0

    def execution(self, execution_id: str, after: str = "") -> Telling:
        """What happens to an execution, from its beginning or a position on, to its end.

        Ends without a word where the execution is not there.
        """

        def join(position: str, mailbox: Mailbox) -> Telling:
            return self._executions.join(execution_id, position, mailbox)

        return self._stream(join, after)

    def events(self, wanted: Filter, after: str = "") -> Telling:
        """Events as they come, from now or from a position on; without an end."""

        def join(position: str, mailbox: Mailbox) -> Telling:
            return self._events.join(wanted, position, mailbox)

        return self._stream(join, after)

    async def close(self) -> None:
        """End all streams."""
        self._executions.end()
        self._events.end()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _stream(self, join: _Join, position: str) -> Telling:
        now = asyncio.get_running_loop().time
        deadline = float("inf")
        with self._counted():
            while True:
                mailbox = Mailbox()
                async with contextlib.aclosing(join(position, mailbox)) as coming:
                    async for several in coming:
                        if not mailbox.joined and now() > deadline:
                            why = "you take too slowly what is told; come back with Last-Event-ID"
                            yield [Told("cut", dumps({"message": why}))]
                            return
                        for start in range(0, len(several), TOGETHER):
                            yield several[start : start + TOGETHER]
                        position = next((t.id for t in reversed(several) if t.id), position)
                if not mailbox.full:
                    return
                # What it did not take in time it reads again from the rows, at its own pace.
                deadline = now() + CATCH_UP_SECONDS

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self.streams += 1
        self._joining.set()
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_on())
        try:
            yield
        finally:
            self.streams -= 1
            self._joining.set()  # whoever looks need not, if this was the last

    async def _look_on(self) -> None:
        """Look at the rows for as long as there are streams."""
        loop = asyncio.get_running_loop()
        try:
            while self.streams:
                began = loop.time()
                try:
                    await self._look()
                    spent = loop.time() - began
                    pause = max(PAUSE_SECONDS, spent * (1 / _MOST_OF_A_CORE - 1))
                except Exception as error:
                    if is_outage(error):
                        log.warning("the streams wait for the database: %s", error)
                    else:
                        log.exception("the streams could not be fed and are tried again")
                    pause = _AFTER_A_FAULT_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):  # wait_for may swallow being cancelled
                        await self._joining.wait()
                self._joining.clear()
        finally:
            self._looking = None
            self._executions.rest()
            self._events.rest()

    async def _look(self) -> None:
        await self._events.renew()
        followed = self._executions.followed()
        seen, marks = await self._door.read(_see, followed)
        await settle(self._door, marks)
        await self._executions.pass_on(followed, seen, marks.line)
        await self._events.pass_on(marks.event)


def _see(ids: Sequence[str]) -> tuple[dict[str, Standing], Marks]:
    """How executions stand, and up to where lines and events can be read along with that."""
    with snapshot(database_proxy.obj):  # else lines would be told before what led to them
        return standings(ids) if ids else {}, take()
