"""``codex32 fmt``: order, comments, and a meaning that never changes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex32.engine.reading.document import read_documents
from codex32.engine.reading.format import format_text
from codex32.kernel.errors import BotInvalid

ROUGH = """\
# a head
steps:
  # the first
  - type: fetch   # how
    id: a
    with: {url: "http://x"}

  # the second
  - id: b
    with:
      code: |
        def main():
            pass

        # no comment of YAML
    # why this type
    type: script
on_failure: [{type: note, id: z, with: {to: log}}]
# what it is called
name: x   # short
triggers:
- timezone: UTC
  cron: "0 8 * * *"
# the end
"""
FORMED = """\
# a head
# what it is called
name: x   # short
triggers:
  - cron: "0 8 * * *"
    timezone: UTC
steps:
  # the first
  - id: a
    type: fetch   # how
    with: {url: "http://x"}

  # the second
  - id: b
    # why this type
    type: script
    with:
      code: |
        def main():
            pass

        # no comment of YAML
on_failure: [{id: z, type: note, with: {to: log}}]
# the end
"""


def values(text):
    return [each.value for each in read_documents(text)]


def comments(text):
    return sorted(line[line.index("#") :] for line in text.split("\n") if "#" in line)


def test_keys_come_into_order_and_comments_go_with_them():
    assert format_text(ROUGH) == FORMED


def test_formatting_twice_is_formatting_once(full_text):
    for text in (FORMED, format_text(full_text)):
        assert format_text(text) == text


def test_what_a_file_says_stays_as_it_is(full_text):
    assert values(format_text(full_text)) == values(full_text)


def test_several_documents_stay_several():
    text = "type: stop\nname: a\n---\n# two\ntype: stop\nname: b\n"
    assert format_text(text) == "name: a\ntype: stop\n---\n# two\nname: b\ntype: stop\n"


def test_scalars_keep_the_meaning_of_yaml_1_2():
    text = "name: x\noutput: [on, yes, 010, 0o10, 1:30, 2026-01-01, 1_000, ~, 1e3, .5, '5']\n"
    assert values(format_text(text)) == values(text)


def test_what_cannot_be_read_is_not_formatted():
    with pytest.raises(BotInvalid, match="the key 'a' stands twice"):
        format_text("a: 1\na: 2\n")


KEYS = st.permutations(["name", "description", "type", "with", "timeout", "labels", "output"])
PIECES = {
    "name": "name: x",
    "description": "description: >\n  some\n  words",
    "type": "type: stop  # why",
    "with": "with:\n  message: |\n    one\n\n    # two",
    "timeout": '# limit\ntimeout: "5m"',
    "labels": "labels: {b: x, a: 'y'}\n\n# loose",
    "output": "output:\n- 1\n-   a: 2\n    b: [3]",
}


@settings(max_examples=150, deadline=None)
@given(KEYS)
def test_any_order_becomes_the_one_order_with_all_comments(keys):
    text = "\n".join(PIECES[key] for key in keys) + "\n"
    formed = format_text(text)
    assert values(formed) == values(text)
    assert format_text(formed) == formed
    assert comments(formed) == comments(text)
    assert formed.index("name:") < formed.index("type:") < formed.index("output:")
