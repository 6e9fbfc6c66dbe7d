"""Child processes kept running: restarted when they die, stopped when we are, never orphaned."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
#: A child that lived this long starts anew without delay.
STEADY_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.1


@dataclass(slots=True)
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause_seconds: float = 0.0


@dataclass
class Children:
    """Keeps commands running until :meth:`stop`.

    Args:
      on_death: Told the child's name, how it ended and when it is started again (seconds).
      environment: Of the children, ours by default; a change holds for those started later.
      output: A file descriptor for what they print; None lets them print where we do.
      results: Another for what they print as their result; None takes the same.
    """

    on_death: Callable[[str, int, float], None]
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    output: int | None = None
    results: int | None = None
    _children: list[_Child] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a command and keep it running."""
        child = _Child(name, command)
        self._children.append(child)
        self._launch(child)

    def watch(self, stop: threading.Event) -> None:
        """Restart children that die, until ``stop`` is set."""
        while not stop.wait(LOOK_EVERY_SECONDS):
            self.look()

    def look(self) -> None:
        """Restart what has died and is due."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.start_at:
                    self._launch(child)
            elif (code := child.process.poll()) is not None:
                child.process = None
                steady = now - child.started_at > STEADY_SECONDS
                grown = min(max(child.pause_seconds * 2, 0.25), LONGEST_PAUSE_SECONDS)
                child.pause_seconds = 0.0 if steady else grown
                child.start_at = now + child.pause_seconds
                self.on_death(child.name, code, child.pause_seconds)

    @property
    def lack(self) -> bool:
        """Whether one of them has ended and is yet to be started again."""
        return any(child.process is None for child in self._children)

    def stop(self, grace_seconds: float) -> None:
        """Ask all to end (SIGTERM), wait, and kill those that do not."""
        alive = [child.process for child in self._children if child.process is not None]
        for process in alive:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + grace_seconds
        for process in alive:
            try:
                process.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                log.warning("process %d does not end and is killed", process.pid)
                process.kill()
                process.wait()
        self._children.clear()

    def pids(self) -> Mapping[str, int]:
        """The processes that run now, by name."""
        return {c.name: c.process.pid for c in self._children if c.process is not None}

    def _launch(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            list(child.command),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output if self.results is None else self.results,
            stderr=self.output,
            # A terminal's Ctrl-C goes to the whole group; we alone decide what it means.
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()),
        )


def _die_with_parent(parent: int) -> Callable[[], None]:
    """Have the kernel end a child whose parent is gone, however the parent died."""
    libc = ctypes.CDLL(None, use_errno=True)

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return arrange
