"""The way of spans to a collector: OTLP over HTTP.

Spans wait in a queue of fixed length for a thread that sends them. Where the collector is slow,
broken or gone, the oldest that wait are given up, and nobody else waits.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from codex32.kernel.sending import retry_after_seconds
from codex32.outside.traces.otlp import Attribute, refused, request
from codex32.outside.traces.spans import Told

log = logging.getLogger(__name__)

#: How much may wait, a second or two of a busy worker's; a span or two each, some 300 bytes.
QUEUE = 16384
#: How much one request tells, a megabyte; what it costs beside is some hundred spans' worth.
BATCH = 4096
#: How soon a span is sent.
SEND_EVERY_SECONDS = 1.0
#: How long one sending may take, with its repetitions.
SEND_SECONDS = 5.0
#: How long the end of a process waits for the last spans to be taken.
CLOSE_SECONDS = 2.0

#: Answers after which the specification has the same sent again.
_COME_AGAIN = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.25
#: The longest that a collector may have us wait: who asks for more has lost count.
LONGEST_PAUSE_SECONDS = 60.0
#: Bytes of an answer that are read.
LONGEST_ANSWER = 65536


class Collector:
    """Sends spans.

    Args:
      endpoint: Where OTLP over HTTP is taken, without ``/v1/traces``.
      headers: Sent with every request, such as a key.
      process: The id of this process.
      resource: What else is told of it, such as where it is deployed.
    """

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        process: str,
        resource: Mapping[str, str] | None = None,
    ) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._version = version("codex32")
        self._resource: dict[str, Attribute] = {
            "service.name": "codex32",
            "service.version": self._version,
            "service.instance.id": process,
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
            **(resource or {}),
        }
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _InTime())
        self._session.headers.update({"Content-Type": "application/x-protobuf", **headers})
        self._waiting: deque[Told] = deque()
        #: Set where a batch is full, or the process ends.
        self._due = threading.Event()
        self._closing = threading.Event()
        self._failing = False
        #: Spans that were given up, by whichever thread, and how many of them are told of.
        self._lost = self._told = 0
        #: Those of which nobody knows yet.
        self._sending = 0
        self._counting = threading.Lock()
        self._sender = threading.Thread(target=self._work, name="traces", daemon=True)
        self._sender.start()

    def keep(self, told: Told) -> None:
        """Take what has ended and is sampled. From any thread."""
        self._waiting.append(told)
        waiting = len(self._waiting)
        if waiting < BATCH:
            return
        if waiting > QUEUE:  # the oldest goes
            with suppress(IndexError):  # it is being sent
                self._lose(self._waiting.popleft().spans)
        if not self._due.is_set():
            self._due.set()

    def ask(self) -> str | None:
        """Send a request without spans; what is in the way, at once and without another try."""
        self._closing.set()
        return self._post(request(self._resource, self._version, []))[0]

    def close(self) -> None:
        """Send what waits, if that is quick, and say how many spans are lost with this process."""
        self._closing.set()
        self._due.set()
        self._sender.join(CLOSE_SECONDS)
        waiting = self._sending + sum(told.spans for told in tuple(self._waiting))
        if lost := self._lost - self._told + waiting:
            log.warning("the collector at %s took not all spans: %d are lost", self._url, lost)

    def _work(self) -> None:
        over = False
        while not over:
            self._due.wait(SEND_EVERY_SECONDS)
            self._due.clear()
            over = self._closing.is_set()
            while spans := self._next():
                self._sending = len(spans)
                try:
                    self._send(spans)
                except Exception:  # whatever it answered, those that come are to be sent
                    self._lose(len(spans))
                    log.exception("spans could not be sent to the collector at %s", self._url)
                self._sending = 0

    def _next(self) -> list[bytes]:
        """The next spans that are sent together, the oldest first."""
        found: list[bytes] = []
        with suppress(IndexError):  # given up meanwhile
            for _ in range(min(len(self._waiting), BATCH)):
                told = self._waiting.popleft()
                try:
                    found += told.encoded()
                except Exception:  # of the others it is no fault
                    self._lose(told.spans)
                    log.exception("a span cannot be told")
        return found

    def _lose(self, spans: int) -> None:
        with self._counting:
            self._lost += spans

    def _send(self, spans: list[bytes]) -> None:
        lost = self._lost
        trouble, refusals = self._post(request(self._resource, self._version, spans))
        self._lose(len(spans) if trouble is not None and not refusals else refusals)
        if trouble is None and self._lost > lost:
            trouble = "more come than it takes"
        self._tell(trouble)

    def _tell(self, trouble: str | None) -> None:
        """Say when trouble begins, and when it is over."""
        if trouble is not None and not self._failing:
            log.warning("the collector at %s does not take spans: %s", self._url, trouble)
        elif trouble is None and self._failing:
            lost, self._told = self._lost - self._told, self._lost
            log.warning("the collector at %s takes spans again; %d are lost", self._url, lost)
        self._failing = trouble is not None

    def _post(self, body: bytes) -> tuple[str | None, int]:
        """Send a request, again and again while that may help.

        Returns:
          What was in the way at last, and how many spans of those it took were refused.
        """
        deadline, pause = time.monotonic() + SEND_SECONDS, _FIRST_PAUSE_SECONDS
        while True:
            asked = None
            try:
                # A redirect would take the key in the headers elsewhere.
                answer = self._session.post(
                    self._url, body, timeout=SEND_SECONDS, allow_redirects=False, stream=True
                )
                with answer:  # closing a connection that is not read to its end
                    said = _said(answer, deadline)
            except (requests.RequestException, ValueError) as error:
                trouble = type(error).__name__
            else:
                if answer.status_code < 300:
                    count, why = refused(said)
                    return (f"it refuses {count} of them: {why}" if count else None), count
                trouble = f"it answers {answer.status_code}"
                if answer.status_code not in _COME_AGAIN:
                    return trouble, 0
                asked = retry_after_seconds(answer.headers.get("Retry-After", ""))
            if asked is not None:  # it is asked then and not before; what waits may be given up
                self._tell(trouble)
            elif time.monotonic() + pause > deadline:
                return trouble, 0
            if self._closing.wait(min(max(asked or 0.0, pause), LONGEST_PAUSE_SECONDS)):
                return trouble, 0
            pause *= 2


class _Bounded(HTTPConnection):
    """An answer begins within its time, or never: what bounds each read alone bounds no drip."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Wait for the head of the answer."""
        late = threading.Event()
        end = threading.Timer(SEND_SECONDS, self._end, (late,))
        end.daemon = True
        end.start()
        try:
            answer = super().getresponse()
        finally:
            end.cancel()
        if late.is_set():  # what was cut off looks like a head that is whole
            answer.close()
            raise TimeoutError
        return answer

    def _end(self, late: threading.Event) -> None:
        late.set()
        if (there := self.sock) is not None:
            with suppress(OSError):  # it is over already
                socket.socket.shutdown(there, socket.SHUT_RDWR)


class _BoundedTls(_Bounded, HTTPSConnection):
    """The same, encrypted."""


class _Plain(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _Tls(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


class _InTime(HTTPAdapter):
    """The way of ``requests`` to such connections."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make what keeps the connections."""
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Plain, "https": _Tls}


def _said(answer: requests.Response, deadline: float) -> bytes:
    """What an answer says, read so that its connection serves again.

    What is long is none of a collector's and may have no end; so may what comes a byte a second,
    which no limit of a single read finds.
    """
    said = b""
    if int(answer.headers.get("Content-Length", LONGEST_ANSWER)) < LONGEST_ANSWER:
        for piece in answer.iter_content(1):
            said += piece
            if time.monotonic() > deadline:
                break
    return said
