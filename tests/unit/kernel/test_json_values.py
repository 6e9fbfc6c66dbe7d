import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex32.kernel.json_values import canonical, dumps, is_json, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(VALUES)
def test_json_comes_back_as_it_went(value):
    assert is_json(value)
    assert loads(dumps(value)) == value
    assert loads(dumps(value).encode()) == value
    assert json.loads(canonical(value)) == value


def test_half_a_surrogate_can_be_stored():
    assert loads(dumps("\ud83e").encode()) == "\ud83e"


def test_text_is_compact_and_readable():
    assert dumps({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'


def test_equal_values_have_one_canonical_text():
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_are_refused(number):
    assert not is_json([number])
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps({"a": number})
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(number)


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", "-Infinity", "1e999", '{"a": -1e999}', "9" * 400 + ".5"],
)
def test_texts_with_such_numbers_are_refused(text):
    with pytest.raises(ValueError, match="is no JSON number"):
        loads(text)


@pytest.mark.parametrize("value", [(1,), {1: 2}, {"a": {1}}, b"x", object()])
def test_what_is_no_json_is_told(value):
    assert not is_json(value)


def test_a_circle_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        dumps(circle)
