"""Trace contexts, as others write them and as ids make them."""

import time

import pytest

from codex32.kernel.ids import made_at, new_id
from codex32.kernel.tracing import TraceContext, span_of, trace_of

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_what_is_written_is_read_again():
    read = TraceContext.parse(GIVEN)
    assert read == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
    assert str(read) == GIVEN


def test_flags_say_whether_it_is_kept():
    assert TraceContext.parse(GIVEN[:-2] + "02").sampled is False
    assert str(TraceContext.parse(GIVEN)._replace(sampled=False)).endswith("-00")


def test_of_a_later_version_what_is_known_is_read():
    assert TraceContext.parse("cc" + GIVEN[2:] + "-what-the-future-brings").sampled


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        GIVEN + "-more",
        "ff" + GIVEN[2:],
        GIVEN.upper(),
        GIVEN.replace("b7ad6b7169203331", "0" * 16),
        GIVEN.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
    ],
)
def test_what_cannot_be_believed_is_none(text):
    assert TraceContext.parse(text) is None


def test_what_is_named_outside_is_the_place():
    context = TraceContext.parse(GIVEN)
    assert context.ids() == (bytes.fromhex(context.trace), bytes.fromhex(context.span))
    assert TraceContext.of(context) == context


def test_whoever_knows_the_place_finds_the_same_span():
    trace = trace_of("exe_1")
    assert trace == trace_of("exe_1") != trace_of("exe_2")
    spans = [span_of(trace, number) for number in range(100)]
    assert spans == [span_of(trace, number) for number in range(100)]
    assert len(set(spans)) == 100
    assert {len(span) for span in spans} == {8}
    assert spans[0] == trace[8:]


def test_an_id_tells_when_it_was_made():
    assert abs(made_at(new_id("exe")) / 1e6 - time.time()) < 60
    assert made_at(new_id("exe", now=lambda: 1_700_000_000.123)) == 1_700_000_000_123_000
    with pytest.raises(ValueError, match="invalid literal"):
        made_at("exe_01jdi0000000000000000000")
