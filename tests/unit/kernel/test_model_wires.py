"""What providers of models share: faults without keys, limits that hold, clients of their loop."""

import asyncio
import math
import threading

import pytest

from codex32 import (
    CallParts,
    ClientPerLoop,
    ModelFault,
    in_time,
    model_refusal,
    token_count,
    unit_vector,
    unkeyed,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (307, "bad_request"),
        (400, "bad_request"),
        (401, "auth"),
        (402, "quota"),
        (403, "auth"),
        (404, "model_gone"),
        (408, "server"),
        (409, "server"),
        (413, "context_too_long"),
        (422, "bad_request"),
        (429, "rate_limited"),
        (503, "server"),
        (529, "server"),
    ],
)
def test_a_status_has_its_kind_and_costs_nothing(status, kind):
    fault = model_refusal("local", status)
    assert (fault.kind, fault.status, fault.billed) == (kind, status, "no")
    assert str(fault).startswith(f"local answered {status}")


@pytest.mark.parametrize("status", [500, 502, 504, 520])
def test_what_fails_behind_the_door_of_a_service_may_have_been_billed(status):
    fault = model_refusal("local", status)
    assert (fault.kind, fault.status, fault.billed) == ("server", status, "maybe")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (307, "it sends elsewhere; is base_url right?"),
        (404, "no such model, or base_url is wrong"),
    ],
)
def test_a_status_without_a_word_is_told_with_what_is_behind_it(status, why):
    assert str(model_refusal("local", status)) == f"local answered {status}: {why}"
    assert str(model_refusal("local", status, "its own")) == f"local answered {status}: its own"


def test_what_the_answer_says_counts_more_than_its_status():
    assert model_refusal("local", 429, "no money", kind="quota").kind == "quota"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "2"}, 2.0),
    ],
    ids=repr,
)
def test_patience_is_kept(headers, seconds):
    assert model_refusal("local", 429, headers=headers).retry_after_seconds == seconds


def test_reasons_hold_no_key_and_no_end():
    fault = model_refusal(
        "local", 401, "wrong:\n  my-own-key and sk-proj-0123456789abcdef", key="my-own-key"
    )
    assert str(fault) == "local answered 401: wrong: *** and sk-***"
    assert len(str(model_refusal("local", 500, "x" * 1000))) < 330
    assert unkeyed("Bearer abcdefghijkl", None) == "Bearer ***"


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7, 7), (-1, None), ("7", None), (7.0, None), (True, None), (None, None)],
    ids=repr,
)
def test_tokens_are_whole_numbers(value, count):
    assert token_count(value) == count


def test_vectors_get_length_one():
    assert unit_vector([3.0, 4.0], 2, "local") == [0.6, 0.8]


@pytest.mark.parametrize(
    "values",
    [None, "ab", [1.0], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0], ["1", "2"]],
    ids=repr,
)
def test_what_is_no_vector_is_malformed(values):
    with pytest.raises(ModelFault) as raised:
        unit_vector(values, 2, "local")
    assert raised.value.kind == "malformed"


class Source:
    """A stream that may stall, and knows whether it was closed."""

    def __init__(self):
        self.closed = False

    async def parts(self, count, stall):
        try:
            for number in range(count):
                yield number
            if stall:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_a_stream_in_time_is_the_same_stream():
    source = Source()
    stream = in_time(source.parts(3, stall=False), 30, service="local")
    assert [part async for part in stream] == [0, 1, 2]
    assert source.closed


async def test_no_part_comes_after_the_limit():
    source, seen = Source(), []
    stream = in_time(source.parts(2, stall=True), 0.05, service="local")

    async def read():
        async for part in stream:
            seen.append(part)

    with pytest.raises(ModelFault, match=r"local gave no whole answer within 0\.05 s") as raised:
        await read()
    assert (seen, raised.value.kind, raised.value.billed) == ([0, 1], "timeout", "maybe")
    assert source.closed


async def test_a_stream_that_is_left_is_closed():
    source = Source()
    stream = in_time(source.parts(2, stall=True), 30, service="local")
    async for _ in stream:
        break
    await stream.aclose()
    assert source.closed


class Maker:
    """Makes clients, and keeps what became of them."""

    def __init__(self, faults=()):
        self.made, self.closed, self.faults = [], [], list(faults)

    def make(self):
        if self.faults:
            raise self.faults.pop()
        self.made.append(threading.current_thread())
        return object()

    async def close(self, client):
        self.closed.append(client)


async def test_a_client_is_made_once_and_on_a_thread():
    maker = Maker()
    clients = ClientPerLoop(maker.make, maker.close)
    first, second = await asyncio.gather(clients.get(30, "local"), clients.get(30, "local"))
    assert first is second
    assert len(maker.made) == 1
    assert maker.made != [threading.main_thread()]
    await clients.close()
    await clients.close()
    assert maker.closed == [first]
    assert await clients.get(30, "local") is not first


def test_each_loop_has_its_own_client():
    maker = Maker()
    clients = ClientPerLoop(maker.make, maker.close)

    async def get():
        return await clients.get(30, "local")

    assert asyncio.run(get()) is not asyncio.run(get())


async def test_a_client_that_cannot_be_made_is_tried_again():
    maker = Maker(faults=[ImportError("no SDK")])
    clients = ClientPerLoop(maker.make, maker.close)
    with pytest.raises(ImportError, match="no SDK"):
        await clients.get(30, "local")
    assert await clients.get(30, "local")


async def test_a_client_that_takes_long_is_not_billed_and_ready_later():
    ready = threading.Event()
    clients = ClientPerLoop(ready.wait, Maker().close)
    with pytest.raises(ModelFault, match="was not ready") as raised:
        await clients.get(0.01, "local")
    assert (raised.value.kind, raised.value.billed) == ("timeout", "no")
    ready.set()
    assert await clients.get(30, "local") is True


@pytest.mark.parametrize(
    "written",
    [
        '{"n": 1e400}',
        '{"n": NaN}',
        "[1]",
        '{"n": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"n": "\ud800',
    ],
)
def test_arguments_that_nobody_can_keep_are_handed_on_as_they_were_written(written):
    call = CallParts("call_1", "note", written).whole()
    assert (call.arguments, call.invalid) == ({}, written)
