"""Environments of packages, made when they are first asked for and shared from then on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from codex32.kernel.private_files import write_private
from codex32.outside.packages.faults import UNAVAILABLE, UNFIT, PackagesFault
from codex32.outside.packages.installers import Installer, Sources, Work, find_installer
from codex32.outside.packages.shelf import Key, Shelf

log = logging.getLogger(__name__)

#: Environments that one process makes at once; more wait.
_MOST_AT_ONCE = 2
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class PackageRules:
    """What the operator wants of packages.

    Attributes:
      timeout_seconds: How long finding and unpacking those of one environment may take.
      keep_days: An environment that was not used for so long is taken away; None keeps all.
      max_mib: How much all may hold together before the oldest goes; None sets no bound.
    """

    sources: Sources = field(default_factory=Sources)
    timeout_seconds: float = 300.0
    keep_days: float | None = None
    max_mib: float | None = None


class Environments:
    """Belongs to one event loop; any number of processes share a folder.

    Args:
      find: What finds an installer; asked anew each time.
    """

    def __init__(
        self,
        folder: Path,
        rules: PackageRules,
        find: Callable[[], Installer | None] = find_installer,
    ) -> None:
        self._shelf, self._rules, self._find = Shelf(folder), rules, find
        self._making: dict[str, asyncio.Future[None]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._works: set[Work] = set()

    @asynccontextmanager
    async def use(
        self, requirements: Sequence[str], tell: Callable[[str], None]
    ) -> AsyncIterator[Path]:
        """The folder with these packages, which stays as it is inside the block.

        Args:
          requirements: As ``name==version``.
          tell: Told if they have to be installed first.

        Raises:
          PackagesFault: They are not to be had.
        """
        try:
            key = await asyncio.to_thread(Key.of, requirements)
        except ValueError as error:
            raise PackagesFault(f"requires: {error}", UNFIT) from None
        held = await self._taken(key)
        if held is None:
            tell(f"installing {', '.join(key.requires)}; this happens once")
            began = time.monotonic()
            while held is None:
                await self._made(key)
                held = await self._taken(key)
            tell(f"installed in {time.monotonic() - began:.1f} s")
        try:
            yield self._shelf.environment(key.digest)
        finally:
            os.close(held)

    async def _taken(self, key: Key) -> int | None:
        taking = asyncio.ensure_future(asyncio.to_thread(self._shelf.use, key.digest))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(_let_go)
            raise

    async def _made(self, key: Key) -> None:
        """Wait until an environment is there, made by whomever."""
        making = self._making.get(key.digest)
        if making is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_MOST_AT_ONCE, "codex32-packages")
            loop = asyncio.get_running_loop()
            making = loop.run_in_executor(self._threads, self._make, key)
            self._making[key.digest] = making
            making.add_done_callback(lambda done: self._forget(key.digest, done))
        # One who is cancelled does not stop the work that others may wait for.
        await asyncio.shield(making)

    def _forget(self, digest: str, done: asyncio.Future[None]) -> None:
        self._making.pop(digest, None)
        if not done.cancelled():
            done.exception()  # those who waited were told

    # in a thread

    def _make(self, key: Key) -> None:
        deadline = time.monotonic() + self._rules.timeout_seconds
        place = self._shelf.environment(key.digest)
        while (held := self._shelf.hold(key.digest)) is None:
            if place.is_dir():
                return
            if time.monotonic() > deadline:
                names = ", ".join(key.requires)
                why = f"cannot install {names}: another process has been at it for too long"
                raise PackagesFault(why, UNAVAILABLE)
            time.sleep(_LOOK_SECONDS)
        try:
            if not place.is_dir():
                self._build(key)
        except OSError as error:
            names = ", ".join(key.requires)
            why = f"cannot install {names}: {error.strerror or error}"
            raise PackagesFault(why, UNAVAILABLE) from error
        finally:
            os.close(held)
        rules = self._rules
        self._shelf.prune(
            older_than_days=rules.keep_days, max_mib=rules.max_mib, spared=key.digest
        )

    def _build(self, key: Key) -> None:
        installer = self._find()
        if installer is None:
            names = ", ".join(key.requires)
            why = f"cannot install {names}: neither uv nor pip is here; install one for the worker"
            raise PackagesFault(why, UNAVAILABLE)
        with self._shelf.building(key.digest) as room:
            work = Work(room, self._rules.timeout_seconds, key.requires)
            self._works.add(work)
            try:
                lock, sources = self._shelf.lock(key.digest), self._rules.sources
                if not lock.exists():
                    about = {"requires": key.requires, "python": key.python}
                    about |= {"platform": key.platform, "by": installer.name}
                    resolved = installer.resolve(work, sources)
                    write_private(lock, f"# {json.dumps(about)}\n{resolved}")
                target = room / "packages"
                target.mkdir()
                installer.install(work, sources, lock, target)
                self._shelf.take_in(key, target)
                log.info("installed %s with %s", ", ".join(key.requires), installer.name)
            finally:
                self._works.discard(work)

    async def close(self) -> None:
        """Stop what is being installed."""
        for work in list(self._works):
            work.stopped.set()
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)


def _let_go(taking: asyncio.Future[int | None]) -> None:
    if not taking.cancelled() and not taking.exception() and (held := taking.result()) is not None:
        os.close(held)
