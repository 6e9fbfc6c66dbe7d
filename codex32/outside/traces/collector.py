"""The way of spans to a collector: OTLP over HTTP, with OpenTelemetry's own exporter.

Spans wait in a queue of fixed length for a thread that sends them. Where the collector is slow,
broken or gone, the oldest that wait are given up, and nobody else waits.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from codex32.kernel.tracing import TraceContext
from codex32.outside.traces.spans import Span

#: Spans that may wait, a second or two of a busy worker's; some kilobytes each.
QUEUE = 8192
BATCH = 1024
#: How soon a span is sent.
SEND_EVERY_SECONDS = 1.0
#: How long one sending may take, with its repetitions.
SEND_SECONDS = 5.0
#: How long the end of a process waits for the last spans to be taken.
CLOSE_SECONDS = 2.0

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_WELL = Status(StatusCode.UNSET)


class Collector:
    """Sends spans.

    Args:
      endpoint: Where OTLP over HTTP is taken, without ``/v1/traces``.
      headers: Sent with every request, such as a key.
      process: The id of this process.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str], process: str) -> None:
        self._resource = Resource.create(
            {
                "service.name": "codex32",
                "service.version": version("codex32"),
                "service.instance.id": process,
            }
        )
        self._scope = InstrumentationScope("codex32", version("codex32"))
        self._processor = BatchSpanProcessor(
            OTLPSpanExporter(
                endpoint=f"{endpoint.rstrip('/')}/v1/traces",
                headers=dict(headers),
                timeout=SEND_SECONDS,
            ),
            max_queue_size=QUEUE,
            max_export_batch_size=BATCH,
            schedule_delay_millis=SEND_EVERY_SECONDS * 1000,
        )

    def keep(self, span: Span) -> None:
        """Take a span that has ended and is sampled."""
        context = span.context
        attributes = span.attributes
        if span.error is not None:
            attributes["error.type"] = span.error
        # Made by us and not by OpenTelemetry's tracer: of executions and attempts it is told when
        # they have ended, and their ids are not drawn by chance.
        self._processor.on_end(
            ReadableSpan(
                span.name,
                _named(context),
                None if span.parent is None else _named(context._replace(span=span.parent)),
                self._resource,
                attributes,
                kind=_KINDS[span.kind],
                status=_WELL if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=span.begun,
                end_time=span.ended,
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Send what waits, if that is quick."""
        ending = threading.Thread(target=self._processor.shutdown, daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)


def _named(context: TraceContext) -> SpanContext:
    return SpanContext(int(context.trace, 16), int(context.span, 16), False, _SAMPLED)
