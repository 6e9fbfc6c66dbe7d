"""``python -m benchmarks``: measure, print the table, keep the figures as JSON."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import click

from benchmarks import (
    costs,
    history,
    idle,
    observability,
    report,
    requests,
    sandbox,
    schedules,
    throughput,
    trips,
    vectors,
    wanted,
)
from benchmarks.peers.measuring import measure as peers
from benchmarks.processes import ROOT
from benchmarks.report import Progress
from benchmarks.retrieval import measure as retrieval
from benchmarks.servers import Servers

RESULTS = Path(__file__).parent / "results"

#: A part: takes the servers and a voice, gives its figures.
Part = Callable[[Servers, Progress], dict[str, Any]]


def parts(*, rounds: int, executions: int, quick: bool) -> dict[str, Part]:
    """What can be measured, in the order in which it is."""
    return {
        "throughput": lambda servers, progress: throughput.measure(
            servers, progress, rounds=rounds, executions=executions
        ),
        "latency": lambda servers, progress: costs.latency(
            servers, progress, samples=20 if quick else 100
        ),
        "peers": lambda servers, progress: peers(
            servers, progress, rounds=rounds, executions=executions
        ),
        "requests": lambda servers, progress: requests.measure(
            servers, progress, rounds=rounds, requests=executions
        ),
        "trips": lambda servers, progress: trips.measure(servers, progress, executions=executions),
        "steps": lambda servers, progress: costs.steps(
            servers, progress, executions=executions // 2, pairs=1 if quick else 3
        ),
        "items": lambda servers, progress: costs.items(
            servers, progress, executions=1 if quick else 5
        ),
        "files": lambda servers, progress: costs.files(servers, progress, count=2000),
        "schedules": lambda servers, progress: schedules.measure(
            servers,
            progress,
            due=1000 if quick else 10_000,
            stored=10_000 if quick else 100_000,
            rounds=1 if quick else 3,
            seconds=4.0 if quick else 20.0,
        ),
        "history": lambda servers, progress: history.measure(
            servers,
            progress,
            history=50_000 if quick else 1_000_000,
            executions_each=executions * (1 if quick else 4),
            pairs=1 if quick else 3,
        ),
        "sandbox": lambda servers, progress: sandbox.measure(
            servers, progress, warm=30 if quick else 300, cold=10 if quick else 50
        ),
        "vectors": lambda servers, progress: vectors.measure(
            servers, progress, chunks=2000 if quick else 10_000, queries=30 if quick else 200
        ),
        "retrieval": lambda servers, progress: retrieval.measure(
            servers, progress, chunks=1000 if quick else 10_000
        ),
        "observability": lambda servers, progress: observability.measure(
            servers, progress, rounds=rounds, executions=executions * (1 if quick else 5)
        ),
        "idle": lambda servers, progress: idle.measure(
            servers, progress, seconds=4.0 if quick else 15.0
        ),
    }


#: The names of the parts.
PARTS = tuple(parts(rounds=1, executions=100, quick=True))


@click.command()
@click.option("--rounds", type=click.IntRange(1), help="Interleaved rounds [3].")
@click.option("--executions", type=click.IntRange(100), help="Executions a slot [4000].")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(PARTS),
    help="Measure this part alone; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.option("--quick", is_flag=True, help="One short round: done in 90 s, for a first look.")
def main(
    rounds: int | None, executions: int | None, only: tuple[str, ...], as_json: bool, quick: bool
) -> None:
    """Measure Codex-32 beside bare Dramatiq on the same Redis server."""
    chosen = parts(
        rounds=rounds or (1 if quick else 3),
        executions=executions or (1000 if quick else 4000),
        quick=quick,
    )
    took: dict[str, float] = {}
    result: dict[str, Any] = {"environment": report.environment(ROOT), "quick": quick}
    result["took_seconds"] = took
    progress = Progress()
    # Leaving by the same door as Ctrl-C stops all that was started.
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="codex32-benchmark-") as folder, ExitStack() as stack:
        servers = Servers(Path(folder), stack)
        for name, part in chosen.items():
            if name in only or not only:
                began = time.monotonic()
                try:
                    result |= _named(name, part(servers, progress))
                except Exception as error:
                    # What took minutes to measure is kept, whatever comes after it.
                    result.setdefault("failed", {})[name] = repr(error)
                    progress.tell(f"{name} failed:\n{traceback.format_exc()}")
                took[name] = round(time.monotonic() - began, 1)
    path = report.write(RESULTS, result)
    click.echo(json.dumps(result, indent=2) if as_json else _text(result))
    progress.tell(f"kept as {path.relative_to(ROOT)}")
    sys.exit("failed" in result)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _named(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """A part's figures as they stand in the result."""
    if name == "throughput":
        return {"ratios": found["ratios"], name: found}
    if name == "latency":
        judged = {key: found["postgresql"][key] for key in ("p50", "p99")}
        return {"latency_ms": judged, name: found}
    return {name: found}


def _text(result: Mapping[str, Any]) -> str:
    lines = []
    if "throughput" in result:
        lines += [report.table(throughput.table(result["throughput"])), ""]
    rest = {name: result[name] for name in result if name in PARTS and name != "throughput"}
    lines += [*report.flat(rest), *report.flat({"took_seconds": result["took_seconds"]}), ""]
    lines += [report.table(wanted.table(result))]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
