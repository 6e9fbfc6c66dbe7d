"""The house's own sandboxes: cells closed in by the kernel, each level more than the last."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult
from codex32.kernel.contracts.sandbox import SandboxBackend, SandboxLevel
from codex32.outside.sandboxes.conversation import Conversation
from codex32.outside.sandboxes.folders import new_home, owner, remove, remove_orphans
from codex32.outside.sandboxes.zygote import CellLost, SandboxBroken, Zygote

_GIB = 1024**3
_MIB = 1024**2
#: What sockets and pipes hold is the memory of the kernel, which nothing else bounds.
_MAX_OPEN_FILES = 256
#: Of a user altogether; timers and queued signals of a program must leave others theirs.
_MAX_PENDING_SIGNALS = 64
#: Cells that wait may be killed, as by a machine without memory; so many are tried for a program.
_MOST_CELLS = 5
#: A zygote without work for so long is ended, and started anew when there is some.
_IDLE_SECONDS = 300.0
#: Landlock learned to guard ``truncate`` with this version; without, files could be emptied.
_LEAST_LANDLOCK = 3
_LINUX = sys.platform == "linux"


class CellSandbox(SandboxBackend):
    """Runs programs in cells of a zygote.

    Args:
      warm: How many cells wait for programs.
      memory_bytes: Address space of a program that asks for no other.
      disk_bytes: What a program that asks for no other may write.
      max_line_bytes: How much of each of stdout and stderr is handed on.
    """

    def __init__(
        self,
        *,
        warm: int = 2,
        memory_bytes: int = _GIB,
        disk_bytes: int = 256 * _MIB,
        max_line_bytes: int = _MIB,
    ) -> None:
        self._warm = warm
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._max_line_bytes = max_line_bytes
        self._zygote: Zygote | None = None
        self._starting: asyncio.Lock | None = None
        self._running = 0
        self._owner = ""
        self._rest: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def lacks(self) -> str | None:
        """Why it cannot work here, or None."""
        return None

    async def run(
        self, program: Program, host: ProgramHost, packages: Sequence[str] = ()
    ) -> ProgramResult:
        """Run to the end; see :meth:`SandboxBackend.run`."""
        if why := self._cannot_keep(program):
            return ProgramResult(error=why, code="refused")
        self._running += 1
        try:
            for _ in range(_MOST_CELLS):
                with suppress(CellLost):
                    return await self._run_in_a_cell(program, host, packages)
            raise SandboxBroken(f"{_MOST_CELLS} cells, one after another, ended before they began")
        except SandboxBroken as error:
            message = f"the sandbox {self.name} could not be made: {error}"
            return ProgramResult(error=message, code="refused")
        finally:
            self._running -= 1
            self._rest_later()

    async def _run_in_a_cell(
        self, program: Program, host: ProgramHost, packages: Sequence[str]
    ) -> ProgramResult:
        zygote = await self._ready()
        cell = await zygote.cell()
        conversation = Conversation(
            cell,
            program,
            host,
            max_line_bytes=self._max_line_bytes,
            serve=host.serve_way_out if self._has_way_out(program) else None,
        )
        home = new_home(self._owner)
        order = self._order(program, packages, home)
        try:
            return await conversation.run(order, zygote.kill)
        finally:
            if self.level < SandboxLevel.NAMESPACE and not cell.folder_gone:
                await asyncio.shield(asyncio.to_thread(remove, home))

    def _cannot_keep(self, program: Program) -> str | None:
        return None

    def _has_way_out(self, program: Program) -> bool:
        return False

    def _order(self, program: Program, packages: Sequence[str], home: Path) -> dict[str, Any]:
        disk = program.disk_bytes or self._disk_bytes
        limits = {
            "RLIMIT_AS": program.memory_bytes or self._memory_bytes,
            "RLIMIT_FSIZE": disk,
            "RLIMIT_NOFILE": _MAX_OPEN_FILES,
            "RLIMIT_SIGPENDING": _MAX_PENDING_SIGNALS,
            "RLIMIT_CORE": 0,
        }
        if program.cpu_seconds is not None:
            limits["RLIMIT_CPU"] = max(1, math.ceil(program.cpu_seconds))
        return {
            "code": program.code,
            "args": dict(program.args),
            "file": program.file,
            "home": str(home),
            "limits": limits,
            "disk_bytes": disk,
            "processes": program.processes or 1,
            "files": [[grant.path, grant.write] for grant in program.files],
            "packages": list(packages),
            "network": self._has_way_out(program),
            "environment": {"LANG": "C.UTF-8"},
            "max_output_bytes": program.max_output_bytes,
        }

    async def _ready(self) -> Zygote:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._starting = self._starting or asyncio.Lock()
        async with self._starting:
            if self._zygote is None or not self._zygote.alive:
                await self._let_go()
                self._owner = await asyncio.to_thread(owner)
                if self.level < SandboxLevel.NAMESPACE:
                    await asyncio.to_thread(remove_orphans)
                self._zygote = await Zygote.start(self.name, self._warm)
            return self._zygote

    def _rest_later(self) -> None:
        if not self._running and self._zygote is not None:
            loop = asyncio.get_running_loop()
            self._rest = loop.call_later(_IDLE_SECONDS, self._go_to_rest)

    def _go_to_rest(self) -> None:
        task = asyncio.ensure_future(self._let_go_unused())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _let_go_unused(self) -> None:
        if not self._running:  # a program may have begun since this task was made
            await self._let_go()

    async def _let_go(self) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await zygote.close()

    async def close(self) -> None:
        """End the zygote."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        await self._let_go()


class NamespaceSandbox(CellSandbox):
    """A root directory, processes and a network of its own, Landlock and seccomp around it."""

    name: ClassVar[str] = "namespace"
    level: ClassVar[SandboxLevel] = SandboxLevel.NAMESPACE

    def lacks(self) -> str | None:
        """Linux 5.12 on a machine whose calls are known."""
        return _foreign()

    def _has_way_out(self, program: Program) -> bool:
        return bool(program.hosts)


class ProcessSandbox(CellSandbox):
    """Landlock and seccomp around a process among others: for machines that let no namespaces."""

    name: ClassVar[str] = "process"
    level: ClassVar[SandboxLevel] = SandboxLevel.PROCESS

    def lacks(self) -> str | None:
        """A Landlock that guards whatever changes a file."""
        if why := _foreign():
            return why
        from codex32_sandbox.landlock import version

        if version() < _LEAST_LANDLOCK:
            return "it needs Landlock as of Linux 6.2, and that Landlock is switched on"
        return None

    def _cannot_keep(self, program: Program) -> str | None:
        if (program.processes or 1) > 1:
            return (
                "allow.processes above 1 needs the sandbox namespace: "
                "here nothing counts a program's processes"
            )
        return None


class PlainSandbox(CellSandbox):
    """A process of the worker's own user: it keeps accidents in, and no attacker."""

    name: ClassVar[str] = "plain"
    level: ClassVar[SandboxLevel] = SandboxLevel.PLAIN


def _foreign() -> str | None:
    if not _LINUX:
        return "it needs Linux"
    from codex32_sandbox import seccomp

    return None if seccomp.SUPPORTED else f"the calls of {os.uname().machine} are not known to it"
