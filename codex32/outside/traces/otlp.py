"""Spans as OTLP has them on the wire.

The messages are OpenTelemetry's own (https://opentelemetry.io/docs/specs/otlp/), filled in by us:
its SDK makes several objects of each span first, and tracing would cost as much as what is traced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from codex32.outside.traces.spans import Attribute, Span

_KINDS = {
    "internal": Message.SPAN_KIND_INTERNAL,
    "server": Message.SPAN_KIND_SERVER,
    "client": Message.SPAN_KIND_CLIENT,
    "consumer": Message.SPAN_KIND_CONSUMER,
}


def encoded(resource: Mapping[str, Attribute], version: str, spans: Iterable[Span]) -> bytes:
    """The request that tells of ``spans``.

    Args:
      resource: What makes them: the service, its version, the process.
      version: Of the scope, which is this house.
      spans: That have ended.
    """
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _describe(group.resource.attributes, resource)
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "codex32", version
    for span in spans:
        _tell(scope.spans, span)
    body: bytes = request.SerializeToString()
    return body


def _tell(messages: Any, span: Span) -> None:
    context = span.context
    message = messages.add(
        trace_id=bytes.fromhex(context.trace),
        span_id=bytes.fromhex(context.span),
        name=_text(span.name),
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.begun,
        end_time_unix_nano=span.ended,
        flags=1,  # sampled
    )
    if span.parent is not None:
        message.parent_span_id = bytes.fromhex(span.parent)
    _describe(message.attributes, span.attributes)
    if span.error is not None:
        _describe(message.attributes, {"error.type": span.error})
        message.status.code = Status.STATUS_CODE_ERROR
        message.status.message = _text(span.error)


def _describe(attributes: Any, told: Mapping[str, Attribute]) -> None:
    for name, value in told.items():
        pair = attributes.add(key=name)
        if isinstance(value, str):
            pair.value.string_value = _text(value)
        elif isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        else:
            pair.value.double_value = value


def _text(text: str) -> str:
    """Half a surrogate pair, which a name of a person's may hold, is no text on the wire."""
    return text if text.isascii() else text.encode(errors="replace").decode()
