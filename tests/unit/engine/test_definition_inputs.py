"""Inputs of an execution against what the bot declares."""

import time

import pytest

from codex32.engine.values.inputs import check_inputs
from codex32.kernel.errors import InputsInvalid

TEXT = """\
name: x
inputs:
  pages: {type: integer, minimum: 1, default: 3}
  team: {type: string, pattern: "^(a+)+$"}
  tags: {type: array, items: {enum: [red, green]}, uniqueItems: true}
type: stop
"""


@pytest.fixture
def bot(reader):
    return reader.read_text(TEXT).only_bot()


def test_defaults_fill_what_is_not_given(bot):
    assert check_inputs(bot, {"team": "a"}) == {"pages": 3, "team": "a"}
    assert check_inputs(bot, {"pages": 5}) == {"pages": 5}


def test_all_faults_are_told_together(bot):
    with pytest.raises(InputsInvalid) as caught:
        check_inputs(bot, {"page": 1, "pages": 0, "tags": ["red", "gren", "red"]})
    assert [str(problem) for problem in caught.value.problems] == [
        "page: unknown input (did you mean 'pages'?); x takes: pages, team, tags",
        "pages: must be at least 1",
        "tags.1: must be one of red, green, not this text (did you mean 'green'?)",
        "tags: an item stands twice",
    ]


def test_what_looks_like_an_expression_is_a_text_like_any_other(bot):
    with pytest.raises(InputsInvalid):
        check_inputs(bot, {"pages": "${{ 1 }}"})


def test_a_pattern_that_hangs_other_engines_is_linear_here(bot):
    began = time.process_time()
    with pytest.raises(InputsInvalid, match="does not match"):
        check_inputs(bot, {"team": "a" * 20_000 + "!"})
    assert time.process_time() - began < 1.0
