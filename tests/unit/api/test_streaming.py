import pytest

from codex32 import ServerSentEvent
from codex32.api.streaming import encoded


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ServerSentEvent("a"), "data: a\n\n"),
        (ServerSentEvent(""), "data: \n\n"),
        (ServerSentEvent({"a": [1]}), 'data: {"a":[1]}\n\n'),
        (ServerSentEvent("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("a", "said", "7"), "id: 7\nevent: said\ndata: a\n\n"),
        (ServerSentEvent("a", "x\ndata: y", "1\r\n2"), "id: 1  2\nevent: x data: y\ndata: a\n\n"),
    ],
)
def test_an_event_is_written_so_that_no_text_becomes_a_field(event, text):
    assert encoded(event).decode() == text
