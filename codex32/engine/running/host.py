"""The attempts of one process: claimed, kept alive, stopped in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from codex32.engine.records import claims
from codex32.engine.records.advance import Advance, Claim, End
from codex32.engine.records.claims import Renewed
from codex32.engine.records.happenings import Begun
from codex32.engine.running.attempt import Attempt
from codex32.engine.running.environment import Environment
from codex32.engine.running.notebook import ClaimLost
from codex32.kernel.database import announce
from codex32.kernel.fault_points import fault_point
from codex32.kernel.statuses import Status

log = logging.getLogger(__name__)

#: Waiting executions are looked for at most this often; a wait is never more exact than that.
WAKE_EVERY_SECONDS = 0.1
#: And at least this often, also where single executions come one after the other.
WAKE_AT_LEAST_SECONDS = 1.0
#: Who stops waits so long for a database that is out of reach.
GIVE_BACK_SECONDS = 2.0
#: However often somebody rings, the heart looks at most this often.
RING_EVERY_SECONDS = 0.02


class Host:
    """Runs attempts on one event loop, up to ``concurrency`` at once.

    Args:
      env: What attempts work with.
      worker: The id under which executions are claimed.
      concurrency: Executions in flight at once.
      lease_seconds: How long a claim holds without a heartbeat.
      on_room: Called, on the event loop, when an attempt has ended.
    """

    def __init__(
        self,
        env: Environment,
        worker: str,
        *,
        concurrency: int = 64,
        lease_seconds: float = 10.0,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self.env = env
        self.worker = worker
        self.concurrency = concurrency
        self.lease_seconds = lease_seconds
        self._on_room = on_room
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[str, Attempt] = {}
        #: Claims whose leases are renewed, those under way and those about to begin: their bots.
        self._held: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = threading.Event()
        #: Set where the heart shall not wait for its next beat.
        self._rung = threading.Event()
        self._woke_at = 0.0
        #: Monotonic time since when the leases that are held count.
        self._renewed = time.monotonic()
        #: How long attempts take, the recent ones weighing most (seconds).
        self.average_seconds = 0.01
        #: Whether the last look left executions that could have been claimed.
        self.more = True
        #: Whether it passed over those of a bot that has its share of this worker.
        self.crowded = False
        self._heart: threading.Thread | None = None

    def start_heart(self) -> None:
        """Renew leases from now on, on a thread that no busy event loop can hold up."""
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()
        self._loop.call_later(self.lease_seconds / 20, self._watch)

    @property
    def running(self) -> int:
        """Attempts under way."""
        return len(self._attempts)

    @property
    def held(self) -> int:
        """Executions that are claimed here and have not ended, begun or not."""
        return len(self._held)

    def take(self, limit: int, only: Sequence[str] = ()) -> list[Claim]:
        """Claim executions; a function for ``Door.write``."""
        now = self.env.clock.micros()
        lease = int(self.lease_seconds * 1e6)
        limit, crowded = self._share(limit)
        # A lone execution, for which an idle worker was rung, need not wait for another look.
        alone = not self._held and time.monotonic() - self._woke_at < WAKE_AT_LEAST_SECONDS
        taken = claims.take(
            self.worker, limit, now, lease, only, crowded, last=alone and not self.env.keeping()
        )
        every = WAKE_AT_LEAST_SECONDS if alone and taken else WAKE_EVERY_SECONDS
        if self._wake(now, every) and len(taken) < limit:
            taken += claims.take(self.worker, limit - len(taken), now, lease, only, crowded)
        if taken:
            fault_point("take.before_commit")
            announce(Begun(taken))
        self.more = len(taken) == limit
        self.crowded = bool(crowded)
        return taken

    def _wake(self, now: int, every_seconds: float) -> int:
        """Queue waiting executions whose time has come, if nobody looked lately; how many."""
        moment = time.monotonic()
        if moment - self._woke_at < every_seconds:
            return 0
        self._woke_at = moment
        woken = claims.wake(now)
        if woken:
            fault_point("wake.before_commit")
        return woken

    def _share(self, limit: int) -> tuple[int, Sequence[str]]:
        """How many to claim so that no bot fills this worker, and the bots that have all they get.

        A quarter stays for others, who could else wait for as long as one bot's steps take.
        """
        share = self.concurrency - self.concurrency // 4
        by_bot = Counter(list(self._held.values()))
        crowded = [bot for bot, count in by_bot.items() if count >= share]
        if crowded:
            return limit, crowded
        return min(limit, share - max(by_bot.values(), default=0)), ()

    def hold(self, claims: Sequence[Claim]) -> None:
        """Keep claims that have not begun yet. From any thread."""
        self._held.update((claim.id, claim.bot_id) for claim in claims)

    def let_go(self, execution_ids: Sequence[str]) -> None:
        """Keep claims no longer that will not begin; their leases end. From any thread."""
        for execution_id in execution_ids:
            if execution_id not in self._attempts:
                self._held.pop(execution_id, None)

    def begin(self, claim: Claim) -> asyncio.Task[None]:
        """Start the attempt of a claimed execution. On the event loop."""
        if (former := self._attempts.get(claim.id)) is not None:
            former.abandon()  # what is claimed anew was lost, as after a crash of the database
        attempt = Attempt(self.env, claim)
        begun = self._loop.time()
        self._attempts[claim.id] = attempt
        self._held[claim.id] = claim.bot_id
        task = self._loop.create_task(attempt.run())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(claim, begun, done))
        return task

    def _ended(self, claim: Claim, begun: float, task: asyncio.Task[None]) -> None:
        self.average_seconds += (self._loop.time() - begun - self.average_seconds) / 16
        self._tasks.discard(task)
        attempt = self._attempts.get(claim.id)
        if attempt is not None and attempt.claim is claim:
            self._attempts.pop(claim.id)
            self._held.pop(claim.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            about = {"workspace": claim.workspace, "bot": claim.bot_name, "execution": claim.id}
            log.error("%s: the attempt broke", claim.id, exc_info=error, extra=about)
        self._on_room()

    def look_after(self, execution_ids: Sequence[str]) -> None:
        """Look at once whether these shall be cancelled, if they run here. From any thread.

        The database alone knows: a message that was forged costs a look.
        """
        if any(each in self._held for each in execution_ids):
            self._rung.set()

    def cancel(self, execution_ids: Sequence[str]) -> None:
        """Cancel those of the executions that run here. On the event loop."""
        for execution_id in execution_ids:
            attempt = self._attempts.get(execution_id)
            if attempt is not None:
                attempt.cancel()

    async def drain(self, grace_seconds: float) -> None:
        """Start no further step, let those under way end, and give the executions back.

        What is still in a step after ``grace_seconds`` is stopped; another worker goes on with
        it, or, where the step has an effect that must not be repeated, a person decides.
        """
        for attempt in list(self._attempts.values()):
            attempt.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        left = dict(self._attempts)
        for attempt in left.values():
            attempt.abandon()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*map(self._give_back, left.values()))
        self._stop.set()
        self._rung.set()
        if self._heart is not None:
            await asyncio.to_thread(self._heart.join)

    async def _give_back(self, attempt: Attempt) -> None:
        now = self.env.clock.micros()
        end = End(Status.QUEUED, now, "released", ready_at=now, spent=attempt.course.spent)
        try:
            await attempt.book.write(Advance(attempt.claim, end=end), GIVE_BACK_SECONDS)
        except ClaimLost:
            return
        except Exception as error:  # then it goes on once its lease has ended
            log.warning("%s could not be given back: %s", attempt.claim.id, error)

    # the heart

    def _beat(self) -> None:
        """Renew the leases, until the host stops."""
        while not self._stopped():
            began = time.monotonic()
            held = list(self._held)
            if not held:
                self._renewed = began
                continue
            try:
                result = self.env.door.write_now(
                    partial(self._renew, held), patience_seconds=self.lease_seconds / 4
                )
            except Exception as error:
                log.warning("leases could not be renewed: %s", error)
                continue
            self._renewed = began
            if result.lost or result.cancelled:
                self._call(partial(self._heed, result))

    def _stopped(self) -> bool:
        """Wait for the next beat, or for somebody who rings; whether the host stops."""
        if self._rung.wait(self.lease_seconds / 3):
            self._rung.clear()
            # Those who ring again meanwhile share the next look.
            self._stop.wait(RING_EVERY_SECONDS)
        return self._stop.is_set()

    def _watch(self) -> None:
        """Stop all attempts before their leases end, if these cannot be renewed.

        The heart cannot do it: where the network swallows everything, it waits for an answer.
        """
        if self._stop.is_set():
            return
        if self._attempts and time.monotonic() - self._renewed > self.lease_seconds * 0.75:
            self._fence()
        self._loop.call_later(self.lease_seconds / 20, self._watch)

    def _renew(self, held: Sequence[str]) -> Renewed:
        now = self.env.clock.micros()
        return claims.renew(self.worker, held, now, int(self.lease_seconds * 1e6))

    def _heed(self, result: Renewed) -> None:
        self.cancel(result.cancelled)
        for execution_id in result.lost:
            attempt = self._attempts.get(execution_id)
            if attempt is not None:  # else it has just ended
                attempt.abandon()

    def _fence(self) -> None:
        """The claims are as good as lost: do nothing more that another worker will do again."""
        log.error("the database is out of reach: stopping %d attempts", len(self._attempts))
        for attempt in list(self._attempts.values()):
            attempt.abandon()

    def _call(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed; there is nothing to stop
            self._loop.call_soon_threadsafe(work)
