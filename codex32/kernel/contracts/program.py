"""Running code that is not ours: always in another process, and with the powers it was given."""

from __future__ import annotations

import math
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class FileGrant:
    """A path that a program may reach beside its own folder.

    Attributes:
      path: Absolute; a file, or a folder with all that lies in it.
      write: Whether it may be written to.
    """

    path: str
    write: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """Python source with a function ``main`` and the arguments to call it with.

    Attributes:
      file: Name shown in tracebacks.
      timeout_seconds: After this the process and its descendants are killed; a step's program
        has at most what is left to its step, which is the engine's to reckon.
      memory_bytes: Address space of each of its processes, or None for the runner's default.
      processes: How many processes and threads it may be; None for one process with threads.
      disk_bytes: What it may write to its own folders, or None for the runner's default.
      max_output_bytes: A longer answer is a fault.
      owner: For whom it runs; where programs must wait, owners take turns.
      origin: Who wrote it: ``file``, ``api``, ``run``, or ``builder`` for a model.
      files: Paths of this machine that it may reach.
      hosts: Hosts it may reach, as ``allow.hosts`` has them.
      requires: Packages it imports, as ``name==version``.
      runtime: What runs it: ``cpython``, or what a sandbox has beside it.
    """

    code: str
    args: Mapping[str, JSON] = field(default_factory=dict)
    file: str = "<step>"
    timeout_seconds: float = math.inf
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    processes: int | None = None
    disk_bytes: int | None = None
    max_output_bytes: int = 64 * 1024 * 1024
    owner: str = ""
    origin: str = "file"
    files: tuple[FileGrant, ...] = ()
    hosts: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    runtime: str = "cpython"


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What the program answered: ``output`` where ``error`` is None.

    Attributes:
      error: One sentence, such as ``ValueError: no entries``.
      traceback: The author's own lines.
      code: ``raised``, ``timeout``, ``killed``, ``no-main``, ``syntax``, ``not-json``,
        ``too-long``, or where it was not begun ``refused``, ``packages`` (what it requires cannot
        be had), ``packages-unavailable`` (now; trying again may help).
      sandbox: Name of what kept it in; empty where it was not begun.
      state: What it wrote to the bot's state; kept if the step succeeds.
    """

    output: JSON = None
    error: str | None = None
    traceback: str = ""
    code: str = ""
    sandbox: str = ""
    state: Mapping[str, JSON] = field(default_factory=dict)


async def _knows_nothing(name: str, values: Mapping[str, JSON]) -> JSON:
    raise LookupError(f"nobody answers {name!r} here")


async def _leads_nowhere(listening: socket.socket) -> None:
    listening.close()


@dataclass(frozen=True, slots=True)
class ProgramHost:
    """What the house does for a running program.

    Attributes:
      on_line: Called as ``(stream, line)`` for each line on ``stdout`` or ``stderr``.
      on_begin: Called with the name of what keeps it in, when its turn has come.
      tell: Called with what it says through ``codex32_step`` and needs no answer to: a name,
        ``log`` or ``state``, and values that are no more to be trusted than the program.
      ask: Answers what it asks: ``secret``, ``call``, ``state``. A ``Codex32Error`` or a
        ``LookupError`` it raises becomes an exception in the program.
      serve_way_out: Serves a listening socket, on which the program finds an HTTP proxy to the
        hosts it may reach, until it is cancelled.
    """

    on_line: Callable[[str, str], None]
    on_begin: Callable[[str], None] = lambda sandbox: None
    tell: Callable[[str, Mapping[str, JSON]], None] = lambda name, values: None
    ask: Callable[[str, Mapping[str, JSON]], Awaitable[JSON]] = _knows_nothing
    serve_way_out: Callable[[socket.socket], Awaitable[None]] = _leads_nowhere


class ProgramRunner(ABC):
    """Runs programs in processes of their own, kept in as the operator wants it."""

    @abstractmethod
    async def run(self, program: Program, host: ProgramHost) -> ProgramResult:
        """Run ``program`` to its end; cancelling the call kills it and its descendants.

        Only so many run at once. The time a program waits for its turn is not held against its
        ``timeout_seconds``.
        """

    @abstractmethod
    async def prepare(self) -> None:
        """Find out what programs will be kept in by; called once, when the process starts."""
