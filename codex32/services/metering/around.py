"""What stands around parts whose doings no event tells, and counts them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.notifier import Notification, Notifier, Receipt
from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult, ProgramRunner
from codex32.services.metering.meter import Meter


class CountedPrograms(ProgramRunner):
    """Counts programs, by what kept them in and how they ended."""

    def __init__(self, meter: Meter, inner: ProgramRunner) -> None:
        self._meter, self._inner = meter, inner

    async def run(self, program: Program, host: ProgramHost) -> ProgramResult:
        """Run it."""
        kept_in = ""

        def begin(sandbox: str) -> None:
            nonlocal kept_in
            kept_in = sandbox
            host.on_begin(sandbox)

        try:
            result = await self._inner.run(program, replace(host, on_begin=begin))
        except asyncio.CancelledError:
            if kept_in:  # else it waited for its turn
                self._meter.program(kept_in, "stopped")
            raise
        self._meter.program(result.sandbox, result.code)
        return result

    async def prepare(self) -> None:
        """Find out what programs will be kept in by."""
        await self._inner.prepare()


class CountedSending:
    """Counts what notifiers did not take; of what they took an event tells."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def __call__(
        self,
        notifier: Notifier,
        notification: Notification,
        target: str,
        *,
        http: HttpClient,
        timeout_seconds: float,
    ) -> Receipt:
        """Send, once."""
        try:
            return await notifier.send(
                notification, target, http=http, timeout_seconds=timeout_seconds
            )
        except Exception:
            self._meter.notification_failed(notifier.name)
            raise
