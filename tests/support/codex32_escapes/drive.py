"""``python -m codex32_escapes.drive SANDBOX`` runs the corpus and prints what came of it as JSON.

Lanes run side by side; in each, after every program an ordinary one must run as if nothing had
been. Printed are how each program ended, what the prey says, and what was left of processes,
folders and descriptors.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from codex32 import Program, ProgramHost, ProgramResult, SandboxBackend
from codex32.outside.sandboxes.linux import NamespaceSandbox, ProcessSandbox
from codex32_escapes.corpus import LIMITS, NAMES, code
from codex32_escapes.granted import PROGRAMS, Granted, granted
from codex32_escapes.prey import Prey, prey

SANDBOXES = {each.name: each for each in (NamespaceSandbox, ProcessSandbox)}
_LANES = 6
#: What a program says is counted, and what it asks is not known.
_GOOD = "def main(n):\n open('note', 'x').write('x')\n return [n, sum(range(n))]\n"


async def _run(
    sandbox: SandboxBackend, program: Program, extra: Granted | None = None
) -> tuple[ProgramResult, int]:
    told = 0

    def count(*_: Any) -> None:
        nonlocal told
        told += 1

    if extra is None:
        return await sandbox.run(program, ProgramHost(count, tell=count)), told
    return await sandbox.run(program, extra.host(count), extra.packages), told


async def _lane(
    sandbox: SandboxBackend,
    given: dict[str, Any],
    names: list[str],
    ends: dict[str, Any],
    extra: Granted,
) -> None:
    while names:
        name = names.pop(0)
        began = time.monotonic()
        powers: dict[str, Any] = {**LIMITS}
        if name in PROGRAMS:
            powers |= extra.powers
        program = Program(code(name, given), {"given": given}, **powers)
        result, told = await _run(sandbox, program, extra if name in PROGRAMS else None)
        after, _ = await _run(sandbox, Program(_GOOD, {"n": 1000}, timeout_seconds=60.0))
        ends[name] = {
            "code": result.code,
            "error": result.error,
            "output": result.output,
            "told": told,
            "seconds": time.monotonic() - began,
            "next": after.output if after.error is None else after.error,
        }


async def _drive(name: str) -> dict[str, Any]:
    sandbox = SANDBOXES[name]()
    with prey() as found:
        async with granted() as extra:
            return await _driven(sandbox, found, extra, apart=name == "namespace")


async def _driven(
    sandbox: SandboxBackend, found: Prey, extra: Granted, *, apart: bool
) -> dict[str, Any]:
    ends: dict[str, Any] = {}
    given = {**found.given, **extra.given, "apart": apart}
    await _run(sandbox, Program("def main(): ..."))
    await sandbox.close()
    descriptors = len(os.listdir("/proc/self/fd"))
    names = list(NAMES)
    await asyncio.gather(*(_lane(sandbox, given, names, ends, extra) for _ in range(_LANES)))
    await sandbox.close()
    left = len(os.listdir("/proc/self/fd")) - descriptors
    return {
        "ends": ends,
        "harm": found.harm() + extra.harm(),
        "descriptors": left,
        "processes": _processes() - {found.given["victim"]},
        "folders": [
            path.name
            for path in Path(tempfile.gettempdir()).glob("codex32-*")
            if str(path) != given["other"]
        ],
        "user": os.getuid(),
    }


def _processes() -> set[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return {int(text) for text in file.read().split()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_drive(sys.argv[1])), default=list))
