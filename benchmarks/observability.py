"""What it costs to see: executions a second that nobody sees, that are counted, that are traced.

And what a thousand events a second, which a bot listens to elsewhere, take from the others. The
ways are interleaved; each is held against the unseen one of its own round. The collector is a
process of its own, which shares the machine as one elsewhere would not; its CPU is told apart.
Whether it was told of every execution is looked at: spans that are lost cost little.

A slot takes seconds: in half of one, what is measured is how tracing begins.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any, ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import house
from benchmarks.drive import WARM_UP, Drive
from benchmarks.figures import ratios
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.ids import new_id
from codex32.services.events import events

DATABASES = ("postgresql", "sqlite")
EVENTS_A_SECOND = 1000
#: Of an execution: itself, its attempt and its step.
_SPANS = 3
#: Published in one write, so that it is the events that cost and not those who publish.
_TOGETHER = 50

_UNSEEN = {"CODEX32_METRICS__ENABLED": "false", "CODEX32_LOG__LEVEL": "error"}
_COUNTED = {"CODEX32_LOG__LEVEL": "info", "CODEX32_LOG__FORMAT": "ecs"}


def measure(
    servers: Servers, progress: Progress, *, rounds: int, executions: int
) -> dict[str, Any]:
    """By database: the rates of each way as shares of the unseen one's."""
    with _collector() as (url, collector):
        ways = {
            "unseen": _UNSEEN,
            "counted": _COUNTED,
            "traced": {**_COUNTED, "CODEX32_TRACING__ENDPOINT": url},
            "with_events": _UNSEEN,
        }
        return {
            database: _measure(servers, progress, database, ways, collector, rounds, executions)
            for database in DATABASES
        }


def _measure(
    servers: Servers,
    progress: Progress,
    database: str,
    ways: Mapping[str, Mapping[str, str]],
    collector: Connection,
    rounds: int,
    executions: int,
) -> dict[str, float]:
    rates: list[dict[str, float]] = []
    for number in range(rounds):
        rates.append({})
        for way in list(ways)[:: -1 if number % 2 else 1]:
            with house.standing(servers, database, 1, more=ways[way]) as stands:
                work = _beside_events if way == "with_events" else _alone
                drive = asyncio.run(work(stands, executions))
            wanted = _SPANS * (executions + WARM_UP) if way == "traced" else 0
            if (spans := _told(collector)) != wanted:
                raise RuntimeError(f"{way}: the collector has {spans} spans, and not {wanted}")
            rates[-1][way] = drive.rate
            spent = ", ".join(f"{role} {ms:.3f}" for role, ms in drive.cpu_ms.items() if ms)
            progress.tell(f"{database} {way}: {drive.rate:.0f}/s; CPU ms each: {spent}")
    found = ratios(rates, {way: "unseen" for way in ways if way != "unseen"})
    return {way: spread.as_dict()["median"] for way, spread in found.items()}


async def _alone(stands: house.House, executions: int) -> Drive:
    return await stands.run("one", executions)


async def _beside_events(stands: house.House, executions: int) -> Drive:
    publishing = asyncio.create_task(_publish(stands))
    try:
        return await _alone(stands, executions)
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)


async def _publish(stands: house.House) -> None:
    door, clock = stands.runtime.door, stands.runtime.clock
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        wishes = [_event(number, clock.micros()) for number in range(_TOGETHER)]
        await door.write(partial(events.publish_many, wishes))
        due += _TOGETHER / EVENTS_A_SECOND
        await asyncio.sleep(max(due - loop.time(), 0))


def _event(number: int, now: int) -> events.Publish:
    return events.Publish("custom.benchmark", {"n": number}, now, new_id("evt"))


def _told(collector: Connection) -> int:
    """How many spans it was told of since it was last asked."""
    collector.send(None)
    bodies: list[bytes] = collector.recv()
    return sum(
        len(scope.spans)
        for body in bodies
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
    )


@contextmanager
def _collector() -> Iterator[tuple[str, Connection]]:
    """Where a collector takes everything, and what tells which requests came."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_collect, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}", here
    finally:
        process.terminate()
        process.join()


def _collect(told: Connection) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taking) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told.send(server.server_port)
        while True:
            told.recv()
            bodies, _Taking.bodies = _Taking.bodies, []
            told.send(bodies)


class _Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
