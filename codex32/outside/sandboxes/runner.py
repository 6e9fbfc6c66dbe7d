"""Runs programs in the sandbox that was chosen, some at once, owner after owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult, ProgramRunner
from codex32.kernel.contracts.sandbox import SandboxBackend, SandboxLevel
from codex32.outside.packages.environments import Environments
from codex32.outside.packages.faults import PackagesFault
from codex32.outside.sandboxes.choice import Choice, SandboxRules, choose
from codex32.outside.sandboxes.proxy import Proxy
from codex32.outside.sandboxes.way_out import Ways
from codex32.outside.turns import Turns

log = logging.getLogger(__name__)

#: Origin of what a model wrote.
BUILDER = "builder"


class SandboxedRunner(ProgramRunner):
    """Belongs to one event loop.

    Args:
      sandboxes: Those installed, by name.
      rules: What the operator wants.
      max_parallel: Programs that run at once; others wait their turn.
      private_hosts: What operators permit beside public addresses.
      packages: Where packages come from; None where there are none.
    """

    def __init__(
        self,
        sandboxes: Mapping[str, SandboxBackend],
        rules: SandboxRules,
        *,
        max_parallel: int = 8,
        private_hosts: Sequence[str] = (),
        packages: Environments | None = None,
    ) -> None:
        self._packages = packages
        self._sandboxes, self._rules = sandboxes, rules
        self._private_hosts = private_hosts
        self._turns = Turns(max_parallel)
        self._choosing: asyncio.Task[Choice] | None = None

    async def choice(self) -> Choice:
        """What was chosen; the sandboxes are tried when this is asked for the first time."""
        if self._choosing is None:
            self._choosing = asyncio.create_task(self._choose())
        return await asyncio.shield(self._choosing)

    async def prepare(self) -> None:
        """Try the sandboxes now."""
        await self.choice()

    async def _choose(self) -> Choice:
        chosen = await choose(self._sandboxes, self._rules)
        if chosen.sandbox is None:
            log.warning("%s", chosen.why_none)
            return chosen
        # What was started for it goes now: later, a program might have begun in it.
        await chosen.sandbox.close()
        if not chosen.holds:
            name = chosen.sandbox.name
            log.warning("the sandbox %s is used and does not hold: %s", name, chosen.faults[name])
        return chosen

    async def run(self, program: Program, host: ProgramHost) -> ProgramResult:
        """Run to the end; see :meth:`ProgramRunner.run`."""
        chosen = await self.choice()
        sandbox = chosen.sandbox
        if sandbox is None:
            return ProgramResult(error=chosen.why_none, code="refused")
        if why := self._refusal(program, sandbox, holds=chosen.holds):
            return ProgramResult(error=why, code="refused")
        if program.hosts:
            way_out = Proxy(Ways.of(program.hosts, self._private_hosts))
            host = replace(host, serve_way_out=way_out.serve)
        if not program.requires:
            return await self._take_turn(sandbox, program, host)
        if self._packages is None:
            return ProgramResult(error="there are no packages here", code="refused")
        try:
            # Before its turn, and so before its time runs: others would wait, and its own limit
            # is meant for its own work.
            tell = partial(host.on_line, "packages")
            async with self._packages.use(program.requires, tell) as folder:
                return await self._take_turn(sandbox, program, host, [str(folder)])
        except PackagesFault as fault:
            return ProgramResult(error=str(fault), code=fault.code)

    async def _take_turn(
        self,
        sandbox: SandboxBackend,
        program: Program,
        host: ProgramHost,
        packages: Sequence[str] = (),
    ) -> ProgramResult:
        async with self._turns.turn(program.owner):
            host.on_begin(sandbox.name)
            result = await sandbox.run(program, host, packages)
        return result if result.code == "refused" else replace(result, sandbox=sandbox.name)

    def _refusal(self, program: Program, sandbox: SandboxBackend, *, holds: bool) -> str | None:
        level = sandbox.level if holds else SandboxLevel.PLAIN
        if program.origin == BUILDER and level < self._rules.model_code:
            wanted = self._rules.model_code.name.lower()
            return (
                f"a model wrote this code, which needs a sandbox of the level {wanted}; here is "
                f"{sandbox.name} (the setting sandbox.model_code decides)"
            )
        if program.runtime not in sandbox.runtimes:
            known = sorted({each for one in self._sandboxes.values() for each in one.runtimes})
            return (
                f"runtime: {program.runtime} needs a sandbox that has it; here is {sandbox.name}, "
                f"and those installed run {', '.join(known)}"
            )
        return None

    async def close(self) -> None:
        """End what was started."""
        if self._choosing is not None:
            self._choosing.cancel()
            await asyncio.gather(self._choosing, return_exceptions=True)
        for sandbox in self._sandboxes.values():
            await sandbox.close()
        if self._packages is not None:
            await self._packages.close()
