"""What a sandbox costs: a step over its own work, warm and cold, and what it holds when idle."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import percentile
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.contracts.program import Program, ProgramHost
from codex32.outside.sandboxes.linux import CellSandbox, NamespaceSandbox, ProcessSandbox

#: Between warm runs, so that each finds what the last one's successor has become by then.
PAUSE_SECONDS = 0.05
SANDBOXES = (NamespaceSandbox, ProcessSandbox)
#: It does nothing, so all that it takes is the sandbox's.
_PROGRAM = Program("def main(): return 1", timeout_seconds=60.0)


def measure(servers: Servers, progress: Progress, *, warm: int, cold: int) -> dict[str, Any]:
    """By sandbox, in ms: a warm step, one right behind another, a cold one; idle MiB.

    Idle memory is proportional (PSS): what several processes share is counted once.
    """
    found = {}
    for kind in SANDBOXES:
        if (why := kind().lacks()) is not None:
            progress.tell(f"{kind.name} is not measured: {why}")
            continue
        found[kind.name] = asyncio.run(_measured(kind, warm, cold))
        progress.tell(f"sandbox {kind.name}: {found[kind.name]}")
    return found


async def _measured(kind: type[CellSandbox], warm: int, cold: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    sandbox = kind()
    try:
        await _run(sandbox)
        figures["warm"] = _told([await _run(sandbox, PAUSE_SECONDS) for _ in range(warm)])
        figures["in_a_row"] = _told([await _run(sandbox) for _ in range(warm)])
        await asyncio.sleep(1.0)
        figures["idle_mib"] = await asyncio.to_thread(_idle_mib)
    finally:
        await sandbox.close()
    seconds = []
    for _ in range(cold):
        fresh = kind()
        try:
            seconds.append(await _run(fresh))
        finally:
            await fresh.close()
    figures["cold"] = _told(seconds)
    return figures


async def _run(sandbox: CellSandbox, pause: float = 0.0) -> float:
    await asyncio.sleep(pause)
    began = time.perf_counter()
    result = await sandbox.run(_PROGRAM, ProgramHost(lambda stream, line: None))
    seconds = time.perf_counter() - began
    if result.output != 1:
        raise RuntimeError(f"the sandbox {sandbox.name} ran nothing: {result.error}")
    return seconds


def _told(seconds: list[float]) -> dict[str, float]:
    return {f"p{percent}_ms": round(percentile(seconds, percent) * 1e3, 2) for percent in (50, 99)}


def _idle_mib() -> float:
    """Of our zygote and its cells."""
    zygotes = [each for each in _children(os.getpid()) if _name(each) == "codex32-zygote"]
    processes = [each for zygote in zygotes for each in (zygote, *_children(zygote))]
    total = 0
    for process in processes:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if "Pss:" in line)
    return round(total / 1024, 1)


def _children(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        found += [int(text) for text in (task / "children").read_text().split()]
    return found


def _name(process: int) -> str:
    return Path(f"/proc/{process}/comm").read_text().strip()
