"""Streams of events in which a server answers by HTTP, heard while they come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import JSON

#: The type of such an answer.
STREAM: Final = "text/event-stream"
#: What ends an event.
_GAPS = (b"\r\n\r\n", b"\n\n", b"\r\r")
_LONGEST_GAP = 4
#: What may stand in a header, as the id of an event has to when a stream is taken up again.
_IDENTITY: Final = re.compile(rb"[\x21-\x7e][\x20-\x7e]{0,999}")
_RETRY: Final = re.compile(rb"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
      data: What it carries; None where it has no line of it.
      identity: What a stream is taken up behind it by; None where it says none.
      retry: Milliseconds to wait before that; None where it says none.
    """

    data: bytes | None = None
    identity: bytes | None = None
    retry: int | None = None


class Hearing:
    """What came of an answer, over as many streams as it takes.

    It is called with what has come of one, and says whether that is enough: some servers leave a
    stream open behind the answer.

    Args:
      identity: Of the request that is to be answered.
      asked: Given each request of the server.

    Attributes:
      answer: The message that answers, once it came.
      last: The id of the last event, by which the stream can be taken up again; None where the
        server gives none.
      retry: Milliseconds to wait before that, as the server said last.
    """

    def __init__(self, identity: object, asked: Callable[[Mapping[str, Any]], None]) -> None:
        self._identity, self._asked = identity, asked
        self.answer: Mapping[str, JSON] | None = None
        self.last: str | None = None
        self.retry: int | None = None
        self._body = bytearray()
        #: Up to where events were looked at, and up to where their ends were looked for.
        self._looked = self._searched = 0

    def __call__(self, body: bytearray) -> bool:
        """Hear what is new of it."""
        if body is not self._body:  # another stream, or asked once more with another token
            self._body, self._looked, self._searched = body, 0, 0
        begin = max(self._looked, self._searched - _LONGEST_GAP)
        end = max(body.rfind(gap, begin) for gap in _GAPS)
        self._searched = len(body)
        if end > self._looked:
            whole, self._looked = bytes(body[self._looked : end]), end
            for event in events(whole):
                self._hear(event)
        return self.answer is not None

    @property
    def length(self) -> int:
        """Bytes of the stream that came last."""
        return len(self._body)

    def _hear(self, event: Event) -> None:
        if event.identity is not None and _IDENTITY.fullmatch(event.identity):
            self.last = event.identity.decode()
        if event.retry is not None:
            self.retry = event.retry
        if event.data is None or b'"id"' not in event.data:
            return
        try:
            message = parse_foreign(event.data)
        except NotJson:
            return
        if answers(message, self._identity):
            assert isinstance(message, Mapping)
            self.answer = self.answer or message
        elif isinstance(message, Mapping) and "method" in message:
            self._asked(message)


def answers(message: JSON, identity: object) -> bool:
    """Whether a message answers a request; a server may number its own requests as we do ours."""
    return (
        isinstance(message, Mapping) and "method" not in message and message.get("id") == identity
    )


def events(body: bytes) -> Iterator[Event]:
    """The events of a stream, or of a part of it."""
    for text in re.split(b"|".join(_GAPS), body):
        found: dict[bytes, list[bytes]] = {}
        for line in re.split(rb"\r\n|\n|\r", text):
            name, _, value = line.partition(b":")
            found.setdefault(name, []).append(value.removeprefix(b" "))
        retry = found.get(b"retry", [b""])[-1]
        yield Event(
            b"\n".join(found[b"data"]) if b"data" in found else None,
            found[b"id"][-1] if b"id" in found else None,
            int(retry) if _RETRY.fullmatch(retry) else None,
        )
