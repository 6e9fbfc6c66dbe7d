"""The way of spans to a collector: what comes, what comes again, what is given up."""

import asyncio
import gc
import sys
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import pytest
from codex32_serving import QuietHandler, serving
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from codex32.kernel.contracts.http import HttpClient, HttpRequest
from codex32.kernel.ids import new_id
from codex32.kernel.subject import Subject, subject
from codex32.kernel.tracing import TraceContext
from codex32.outside.traces import collector as rooms
from codex32.outside.traces.around import TracedHttp
from codex32.outside.traces.collector import Collector
from codex32.outside.traces.otlp import doing, encoded, request
from codex32.outside.traces.spans import Ended, Tracing

CONTEXT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


class One:
    """A span of this name."""

    spans = 1

    def __init__(self, name="one"):
        self.name = name

    def encoded(self):
        return [encoded(doing(self.name), CONTEXT.ids(), b"", (1, 2))]


@contextmanager
def answering(*statuses, said=b"", **headers):
    """A receiver that answers so in turn, and then 200: its URL, and what it was sent."""
    left, asked = list(statuses), []

    class Handler(QuietHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, dict(self.headers), body))
            self.send_response(left.pop(0) if left else 200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    with serving(Handler) as url:
        yield url, asked


def spans(body):
    (group,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (scope,) = group.scope_spans
    return list(scope.spans)


@pytest.mark.parametrize("status", [429, 503])
def test_what_the_collector_cannot_take_now_is_sent_again(status, monkeypatch):
    monkeypatch.setattr(rooms, "_FIRST_PAUSE_SECONDS", 0.01)
    with answering(status, status) as (url, asked):
        collector = Collector(url, {"X-Key": "k"}, "prc_1")
        collector.keep(One())
        collector._due.set()
        for _ in range(600):
            if len(asked) == 3:
                break
            threading.Event().wait(0.1)
        collector.close()
    assert [body for _, _, body in asked] == [asked[0][2]] * 3
    assert {path for path, _, _ in asked} == {"/v1/traces"}
    assert asked[0][1]["X-Key"] == "k"


@pytest.mark.parametrize("status", [400, 401, 302])
def test_what_it_refuses_is_given_up_and_told_of_once(status, caplog):
    with answering(status, status, Location="http://127.0.0.1:9/") as (url, asked):
        collector = Collector(url, {}, "prc_1")
        for name in ("first", "second", "third"):
            collector._send(One(name).encoded())
        collector.close()
    assert [spans(body)[0].name for _, _, body in asked] == ["first", "second", "third"]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert f"does not take spans: it answers {status}" in lines[0]
    assert "takes spans again" in lines[1]


def test_an_answer_without_an_end_is_not_read(caplog):
    written, over = [0], threading.Event()

    class Endless(QuietHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    written[0] += self.wfile.write(b"x" * 65536)
            except OSError:  # nobody listens any more
                over.set()

    with serving(Endless) as url:
        collector = Collector(url, {}, "prc_1")
        collector._send(One().encoded())
        assert over.wait(60)
        collector.close()
    assert written[0] < 64 * 1024 * 1024  # what fits between the two
    assert caplog.records == []


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(monkeypatch, caplog):
    over, gone = threading.Event(), threading.Event()

    class Dripping(QuietHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "60000")
            self.end_headers()
            try:
                while not over.wait(0.02):
                    self.wfile.write(b"x")
            except OSError:  # nobody listens any more
                gone.set()

    monkeypatch.setattr(rooms, "SEND_SECONDS", 0.2)
    with serving(Dripping) as url:
        collector = Collector(url, {}, "prc_1")
        collector._send(One().encoded())
        assert gone.wait(60)
        over.set()
        collector.close()
    assert caplog.records == []


def test_an_answer_that_is_read_leaves_the_connection_for_the_next():
    came = []

    class Collecting(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            came.append(self.client_address)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    with serving(Collecting) as url:
        collector = Collector(url, {}, "prc_1")
        for _ in range(3):
            collector._send(One().encoded())
        collector._session.close()
        collector.close()
    assert len(came) == 3
    assert len(set(came)) == 1


def test_of_more_than_the_queue_holds_the_newest_are_kept():
    with answering() as (url, asked):
        collector = Collector(url, {}, "prc_1")
        collector.close()  # so that nobody takes them out
        for number in range(rooms.QUEUE + 10):
            collector.keep(One(str(number)))
        first = collector._next()
        told = spans(request({}, "1", first[:2]))
        assert [span.name for span in told] == ["10", "11"]
        assert len(first) == rooms.BATCH
    assert asked == []


def test_every_kind_of_attribute_and_a_text_that_is_none_arrive():
    told = {
        "text": "\ud800é",
        "count": -3,
        "many": 2**40,
        "one": 1,
        "true": True,
        "share": 0.5,
        "none": False,
        "empty": "",
        "long": "x" * 20_000,
    }
    common = ("shared", "by many"), ("try", 2)
    about = doing("step \udfff", "client", "timeout", common)
    ids = CONTEXT.ids()
    span = encoded(about, ids, ids[1], (5, 7), told, b"exe_1")
    with answering() as (url, asked):
        collector = Collector(url, {}, "prc_1")
        collector._send([span])
        collector.close()
    ((_, _, body),) = asked
    (came,) = spans(body)
    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in came.attributes}
    of_its_doing = {**dict(common), "codex32.execution.id": "exe_1", "error.type": "timeout"}
    assert values == {**told, "text": "?é", **of_its_doing}
    assert values["true"] is True
    assert values["one"] is not True
    assert came.flags == 1
    assert (came.name, came.kind, came.start_time_unix_nano, came.end_time_unix_nano) == (
        "step ?",
        3,
        5,
        7,
    )
    assert came.trace_id.hex() == CONTEXT.trace
    assert came.span_id.hex() == came.parent_span_id.hex() == CONTEXT.span
    assert (came.status.code, came.status.message) == (2, "timeout")


def test_it_is_asked_again_when_it_says_and_not_before(monkeypatch, caplog):
    pauses = []
    with answering(429, 503, Retry_After="30") as (url, asked):
        collector = Collector(url, {}, "prc_1")
        monkeypatch.setattr(collector._closing, "wait", lambda seconds: pauses.append(seconds))
        collector._send(One().encoded())
        monkeypatch.undo()
        collector.close()
    assert pauses == [30.0, 30.0]
    assert len({body for _, _, body in asked}) == 1
    assert len(asked) == 3
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith("does not take spans: it answers 429")
    assert second.endswith("takes spans again; 0 are lost")


def test_whoever_ends_does_not_wait_for_as_long_as_it_says():
    with answering(*[503] * 9, Retry_After="3600") as (url, asked):
        collector = Collector(url, {}, "prc_1")
        collector.keep(One())
        collector.close()
        assert not collector._sender.is_alive()
    assert len(asked) == 1


def test_what_it_refuses_of_what_it_takes_is_told(caplog):
    partial = ExportTracePartialSuccess(rejected_spans=3, error_message="too old")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    with answering(said=body) as (url, _):
        collector = Collector(url, {}, "prc_1")
        for _ in range(2):
            collector._send(One().encoded())
        collector.close()
    line, last = (record.getMessage() for record in caplog.records)
    assert line.endswith("does not take spans: it refuses 3 of them: too old")
    assert last.endswith("took not all spans: 6 are lost")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"<html>all is well</html>",
        b"\x0a",
        b"\x0a\xff\xff\xff\xff\xff",
        b"\xff" * 4000,
        b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01",
        ExportTraceServiceResponse(
            partial_success=ExportTracePartialSuccess(error_message="a hint")
        ).SerializeToString(),
    ],
)
def test_an_answer_that_names_no_refused_spans_is_no_trouble(body, caplog):
    with answering(said=body) as (url, _):
        collector = Collector(url, {}, "prc_1")
        collector._send(One().encoded())
        collector.close()
    assert caplog.records == []


def test_how_many_spans_are_lost_is_told(caplog):
    with answering(400) as (url, _):
        collector = Collector(url, {}, "prc_1")
        one = One().encoded()
        collector._send(one * 5)
        collector._send(one)
        collector.close()
    assert caplog.records[-1].getMessage().endswith("takes spans again; 5 are lost")


def test_a_date_that_is_none_ends_no_sending():
    bad = "Sun, 01 Mar 99999999999999 12:00:00 GMT"
    with answering(429, Retry_After=bad) as (url, asked):
        collector = Collector(url, {}, "prc_1")
        for name in ("first", "second"):
            collector._send(One(name).encoded())
        collector.close()
    assert [spans(body)[0].name for _, _, body in asked] == ["first", "first", "second"]


def test_a_process_that_ends_tells_how_many_are_lost_with_it(monkeypatch, caplog):
    monkeypatch.setattr(rooms, "CLOSE_SECONDS", 0.5)
    asked, over = threading.Event(), threading.Event()

    class Hanging(QuietHandler):
        def do_POST(self):
            asked.set()
            over.wait(60)

    with serving(Hanging) as url:
        collector = Collector(url, {}, "prc_1")
        for _ in range(3):
            collector.keep(One())
        collector._due.set()
        assert asked.wait(60)
        for _ in range(2):
            collector.keep(One())
        collector.close()
        (line,) = (record.getMessage() for record in caplog.records)
        over.set()
    assert line.endswith("took not all spans: 5 are lost")


def test_what_nobody_thought_of_costs_its_spans_and_none_after_them(monkeypatch, caplog):
    posts = iter([RuntimeError("nobody thought of this")])

    def post(self, body, *, meant=Collector._post):
        for error in posts:
            raise error
        return meant(self, body)

    monkeypatch.setattr(Collector, "_post", post)
    with answering() as (url, asked):
        collector = Collector(url, {}, "prc_1")
        for name in ("first", "second"):
            collector.keep(One(name))
            collector._due.set()
            for _ in range(600):
                if not collector._waiting and (asked or name == "first"):
                    break
                threading.Event().wait(0.1)
            threading.Event().wait(0.2)
        collector.close()
    assert [spans(body)[0].name for _, _, body in asked] == ["second"]
    assert "could not be sent" in caplog.text


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nX-Endless: ", b""])
def test_an_answer_whose_head_comes_byte_by_byte_holds_nothing_up(said, monkeypatch, caplog):
    monkeypatch.setattr(rooms, "SEND_SECONDS", 0.5)
    over = threading.Event()

    class Dripping(QuietHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            with suppress(OSError):
                self.wfile.write(said)
                while not over.wait(0.1):
                    self.wfile.write(b"H")

    with serving(Dripping) as url:
        collector = Collector(url, {}, "prc_1")
        began = time.monotonic()
        collector._send(One().encoded())
        took = time.monotonic() - began
        over.set()
        collector.close()
    assert took < 5
    assert "does not take spans" in caplog.text


class Unspeakable(One):
    """What cannot be put into its form."""

    spans = 2

    def encoded(self):
        raise ValueError


@pytest.mark.parametrize("which", ["refused", "unspeakable"])
def test_what_tells_of_two_spans_is_lost_as_two(which, caplog):
    both = Ended("default", "noop", new_id("exe"), None, 1, "failed", 1, "failed", "error", 2)
    with answering(400) as (url, _):
        collector = Collector(url, {}, "prc_1")
        collector.close()  # so that nobody else takes them out
        for each in (both, both) if which == "refused" else (One(), Unspeakable(), Unspeakable()):
            collector.keep(each)
        collector._send(collector._next())
        collector._send(One().encoded())
    lost = 4 if which == "refused" else 5
    assert caplog.records[-1].getMessage().endswith(f"takes spans again; {lost} are lost")


def test_spans_that_many_threads_give_up_are_all_counted():
    collector = Collector("http://127.0.0.1:9", {}, "prc_1")
    collector.close()  # so that nobody takes them out
    told = Ended("default", "noop", new_id("exe"), None, 1, "failed", 1, "failed", "error", 2)

    def keep():
        for _ in range(20_000):
            collector.keep(told)

    threads = [threading.Thread(target=keep) for _ in range(4)]
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(often)
    assert collector._lost + 2 * len(collector._waiting) == 2 * 4 * 20_000


def test_a_span_that_waits_keeps_nothing_but_what_it_tells():
    kept, held = [], ContextVar("held")
    tracing = Tracing(kept.append)

    class Large:
        """What a library keeps in a context."""

    async def step():
        held.set(large := Large())
        with tracing.within(doing("step")):
            await asyncio.sleep(0)
        return weakref.ref(large)

    async def attempt():
        subject.set(Subject(trace=CONTEXT))
        return await asyncio.create_task(step())

    large = asyncio.run(attempt())
    gc.collect()
    assert large() is None
    (span,) = kept
    assert spans(request({}, "1", span.encoded()))[0].name == "step"


def test_names_that_bots_make_up_are_told_as_far_as_a_host_is_long():
    kept = []

    class Refusing(HttpClient):
        async def send(self, request):
            raise ValueError

    async def fetch():
        subject.set(Subject(trace=CONTEXT))
        with suppress(ValueError):
            await TracedHttp(Tracing(kept.append), Refusing()).send(
                HttpRequest(f"http://{'a' * 100_000}/")
            )

    asyncio.run(fetch())
    (span,) = spans(request({}, "1", kept[0].encoded()))
    assert span.name == f"GET {'a' * 253}"
