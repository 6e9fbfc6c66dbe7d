"""Executions a second, in rounds: bare Dramatiq and every way through Codex-32, interleaved."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import house
from benchmarks.drive import Drive
from benchmarks.figures import Spread, ratios
from benchmarks.peers.running import running
from benchmarks.report import Progress
from benchmarks.servers import Servers


@dataclass(frozen=True, slots=True)
class Slot:
    """One line of the table.

    Attributes:
      way: ``bare``, ``execute`` (the service, 64 callers) or ``api`` (HTTP, 32 connections).
      processes: Worker processes.
    """

    way: str
    database: str
    processes: int

    @property
    def name(self) -> str:
        """As in the results: ``execute_sqlite_2p``."""
        return "_".join(part for part in (self.way, self.database, f"{self.processes}p") if part)


#: Bare Dramatiq stands in the middle, so that it runs close to all that is held against it.
SLOTS = [
    Slot(way, database, processes)
    for processes in (1, 2)
    for way, database in (
        ("execute", "postgresql"),
        ("execute", "sqlite"),
        ("bare", ""),
        ("api", "postgresql"),
        ("api", "sqlite"),
    )
]


def measure(
    servers: Servers, progress: Progress, *, rounds: int, executions: int
) -> dict[str, Any]:
    """Every slot once a round; see :func:`summary`."""
    drives: list[dict[str, Drive]] = []
    for number in range(rounds):
        drives.append({})
        # Every other round runs backwards, so that no slot always follows the same one.
        for slot in SLOTS[:: -1 if number % 2 else 1]:
            drive = _run(servers, slot, executions)
            drives[-1][slot.name] = drive
            progress.tell(f"round {number + 1}/{rounds}: {slot.name} {drive.rate:.0f}/s")
    return summary(drives)


def summary(drives: Sequence[Mapping[str, Drive]]) -> dict[str, Any]:
    """What the rounds say: rates, their spread, and ratios within the rounds."""
    rates = [{name: drive.rate for name, drive in each.items()} for each in drives]
    against = {s.name: f"bare_{s.processes}p" for s in SLOTS if s.way != "bare"}
    spreads = ratios(rates, against)
    return {
        "ratios": {key: spreads[name].as_dict()["median"] for key, name in _keys()},
        "rates": {s.name: Spread.of(r[s.name] for r in rates).as_dict() for s in SLOTS},
        "ratio_spreads": {name: spread.as_dict() for name, spread in spreads.items()},
        "cpu_ms": {s.name: _cpu([each[s.name] for each in drives]) for s in SLOTS},
        "rounds": [{name: d.as_dict() for name, d in each.items()} for each in drives],
    }


def _cpu(drives: Sequence[Drive]) -> dict[str, float]:
    """CPU an execution by role and in total: what a busy machine changes least."""
    roles = sorted({role for drive in drives for role in drive.cpu_ms})
    by_role = {role: median(drive.cpu_ms.get(role, 0.0) for drive in drives) for role in roles}
    return {"total": round(sum(by_role.values()), 3), **by_role}


def _keys() -> Iterator[tuple[str, str]]:
    """The ratios that are judged: through the API, those with one worker process."""
    for slot in SLOTS:
        if slot.way == "execute":
            yield slot.name, slot.name
        elif slot.way == "api" and slot.processes == 1:
            yield f"api_{slot.database}", slot.name


def _run(servers: Servers, slot: Slot, executions: int) -> Drive:
    if slot.way == "bare":
        with running(servers, "dramatiq", slot.processes) as dramatiq:
            return dramatiq.run(executions)
    others = ["serve"] if slot.way == "api" else []
    with house.standing(servers, slot.database, slot.processes, others=others) as stands:
        run = stands.run_by_http if others else stands.run
        return asyncio.run(run("one", executions))


def table(result: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """The lines of the terminal's table, the head first."""
    yield "", "executions/s", "(min-max)", "to bare", "(min-max)", "CPU ms an execution"
    for slot in SLOTS:
        rate = result["rates"][slot.name]
        ratio = result["ratio_spreads"].get(slot.name)
        cpu = result["cpu_ms"][slot.name].items()
        yield (
            slot.name,
            f"{rate['median']:.0f}",
            f"({rate['min']:.0f}-{rate['max']:.0f})",
            f"{ratio['median']:.2f}" if ratio else "",
            f"({ratio['min']:.2f}-{ratio['max']:.2f})" if ratio else "",
            ", ".join(f"{role} {ms:.2f}" for role, ms in cpu if ms),
        )
