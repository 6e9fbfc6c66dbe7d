"""Answers read by a schema, out of whatever a model says around them."""

import pytest

from codex32.services.ai.answer import Answer
from codex32.services.ai.structured import Form, Unfit

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    "around", ["```json\n{}\n```", "```JSON  \n\n{}```", "So: ```\n{}\n``` Yes."]
)
def test_what_stands_in_a_fence_is_the_answer(around):
    assert Form(SCHEMA).read(Answer(around.replace("{}", '{"a": 1}')), "prompt") == {"a": 1}


@pytest.mark.parametrize("end", ["\n", " ", "a"])
def test_a_model_that_never_stops_in_a_fence_is_unfit_at_once(end):
    # Models that lose their way say nothing but line breaks until they are cut off.
    with pytest.raises(Unfit):
        Form(SCHEMA).read(Answer(f"```json{end * 200_000}x"), "prompt")


@pytest.mark.parametrize("number", ["1e400", "-1e999", "NaN", "Infinity"])
def test_a_number_that_nobody_can_keep_is_no_answer(number):
    schema = {"type": "object", "properties": {"a": {"type": "number"}}}
    with pytest.raises(Unfit, match="no JSON"):
        Form(schema).read(Answer(f'{{"a": {number}}}'), "prompt")


def test_an_answer_that_is_nested_without_end_is_unfit():
    with pytest.raises(Unfit, match="inside each other"):
        Form({"type": "array"}).read(Answer("[" * 200 + "]" * 200), "prompt")
