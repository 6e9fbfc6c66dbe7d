"""Definitions written as YAML read the same again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex32.engine.reading.document import read_documents
from codex32.engine.reading.writing import to_yaml, yaml_text

TEXTS = [
    *("", " ", "x", "yes", "on", "null", "~", "1", "010", "1e3", "1:30", "0x1F", "-.5", ".inf"),
    *("2026-01-01", "a: b", "- a", "# no", "'", '"', "\\", "%", "@x", "`", "!t", "&a", "*a", "<<"),
    *("|", ">", "{}", "[a", "a\nb", "a\n", "\na", "  a\n b\n", "a \nb", "tab\tx", "\x00", "\x7f"),
    *("\u0085", "\u2028", "\ufeff", "é", "😀", "${{ inputs.x }}", "true", "x" * 300, "a " * 200),
    "def main():\r\n    return 1\r\n",
    "def main():\n\n    return '''\n  x'''  \n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_the_text_it_is(text):
    for value in ({"a": text}, {"a": [text]}, {text: 1} if text else {}):
        (document,) = read_documents(yaml_text(value)) or [None]
        assert value == {} or (document.value, document.problems) == (value, [])


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none(), min_size=1)
)
def test_whatever_is_written_is_read_again(value):
    (document,) = read_documents(yaml_text(value))
    assert (document.value, document.problems) == (value, [])


VALUES = [None, True, 0, -7, 1.5, 1e300, 10**30, [], {}, [[], {}], [None]]


@pytest.mark.parametrize("value", VALUES)
def test_other_values_stay_what_they_are(value):
    (document,) = read_documents(yaml_text({"a": value}))
    assert document.value == {"a": value}
    assert type(document.value["a"]) is type(value)


def test_what_stands_twice_is_written_twice():
    part = {"x": [1, 2]}
    text = yaml_text({"a": part, "b": part})
    assert "&" not in text
    assert read_documents(text)[0].value == {"a": part, "b": part}


def test_keys_come_in_the_order_of_bot_files():
    text = to_yaml(
        {
            "steps": [{"with": {"b": 1, "a": 2}, "type": "set", "id": "one"}],
            "triggers": [{"timezone": "UTC", "cron": "0 8 * * *"}],
            "description": "d",
            "name": "n",
        }
    )
    assert text == (
        "name: n\n"
        "description: d\n"
        "triggers:\n"
        "- cron: 0 8 * * *\n"
        "  timezone: UTC\n"
        "steps:\n"
        "- id: one\n"
        "  type: set\n"
        "  with:\n"
        "    b: 1\n"
        "    a: 2\n"
    )
