"""A collector that takes OTLP over HTTP, as it is on the wire; it also misbehaves."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from codex32_serving import QuietHandler, serving
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Told:
    """A span as it came."""

    name: str
    kind: int
    trace: str
    span: str
    parent: str
    seconds: float
    begun: int
    attributes: dict[str, Any]
    failed: bool
    service: str


class Collector:
    """Keeps what it is sent.

    Attributes:
      how: ``well``; or what it does instead: ``hangs``, ``fails`` (500), ``cuts`` the connection.
      headers: Those of the last request.
    """

    def __init__(self) -> None:
        self.how = "well"
        self.spans: list[Told] = []
        self.bodies: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.url = ""
        self.asked = threading.Event()
        self.over = threading.Event()

    def named(self, name: str) -> list[Told]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def wait(self, *names: str, seconds: float = 60.0) -> list[Told]:
        """The first span of each of these names, as soon as all are there."""
        deadline = time.monotonic() + seconds
        while True:
            found = [self.named(name)[:1] for name in names]
            if all(found):
                return [first for (first,) in found]
            there = sorted({span.name for span in self.spans})
            assert time.monotonic() < deadline, f"wanted {names}, there are {there}"
            time.sleep(0.02)

    def take(self, body: bytes) -> None:
        """Read a request."""
        self.bodies.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(group.resource.attributes)["service.name"]
            for scope in group.scope_spans:
                self.spans += [_told(each, service) for each in scope.spans]


def _told(span: Any, service: str) -> Told:
    return Told(
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        span.start_time_unix_nano,
        _values(span.attributes),
        span.status.code == 2,
        service,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""
    collector = Collector()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers = {name.lower(): value for name, value in self.headers.items()}
            collector.asked.set()
            if collector.how == "hangs":
                collector.over.wait(120)
                return
            if collector.how == "cuts":
                # With a reset in the middle of the answer.
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\nhalf")
                self.connection.close()
                return
            if collector.how == "fails":
                self._say(500, b"no room")
                return
            assert self.path == "/v1/traces"
            collector.take(body)
            self._say(200, ExportTraceServiceResponse().SerializeToString())

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as collector.url:
        try:
            yield collector
        finally:
            collector.over.set()
