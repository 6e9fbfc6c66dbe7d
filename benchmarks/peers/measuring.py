"""Other peers beside bare Dramatiq, in rounds, where they are installed."""

from __future__ import annotations

from typing import Any

from benchmarks.figures import Spread, ratios
from benchmarks.peers.running import installed, running
from benchmarks.report import Progress
from benchmarks.servers import Servers

_BARE = "dramatiq"


def measure(
    servers: Servers, progress: Progress, *, rounds: int, executions: int
) -> dict[str, Any]:
    """Tasks a second with one and two processes, and how often as many as bare Dramatiq's.

    Slow peers are sent fewer tasks. Where none is installed there are no figures.
    """
    names = installed()
    if not names:
        progress.tell(
            "no other peer is installed; to measure some: "
            "pip install celery rq huey procrastinate dbos"
        )
        return {}
    slots = [(name, processes) for processes in (1, 2) for name in (_BARE, *names)]
    rates: list[dict[str, float]] = []
    for number in range(rounds):
        rates.append({})
        for name, processes in slots[:: -1 if number % 2 else 1]:
            slot = f"{name}_{processes}p"
            with running(servers, name, processes) as peer:
                rates[-1][slot] = peer.run(executions).rate
            progress.tell(f"round {number + 1}/{rounds}: {slot} {rates[-1][slot]:.0f}/s")
    against = {f"{name}_{n}p": f"{_BARE}_{n}p" for name, n in slots if name != _BARE}
    return {
        "rates": {s: Spread.of(r[s] for r in rates).as_dict() for s in rates[0]},
        "ratios": {name: spread.as_dict() for name, spread in ratios(rates, against).items()},
    }
