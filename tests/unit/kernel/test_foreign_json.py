"""JSON that strangers send."""

import pytest

from codex32.kernel.foreign_json import NotJson, parse_foreign


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"a": 1, "b": {"a": 1}, "a": 1}', "twice"),
        (b'[{"secret": 1, "secret": 2}]', "twice"),
        (b"[" * 70 + b"]" * 70, "levels"),
        (b'{"a": 1e999}', "finite"),
        (b"{", "no JSON"),
        (b'"\xff"', "UTF-8"),
    ],
)
def test_what_two_readers_could_read_otherwise_is_refused_and_not_quoted(text, told):
    with pytest.raises(NotJson, match=told) as caught:
        parse_foreign(text)
    assert "secret" not in str(caught.value)


def test_the_same_key_in_several_objects_is_no_key_twice():
    assert parse_foreign(b'[{"a": 1}, {"a": {"a": 2}}]') == [{"a": 1}, {"a": {"a": 2}}]
