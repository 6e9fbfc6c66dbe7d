"""The glance at a value may miss that it fits, and never sees a fit where there is none."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex32.engine.values.fitting import surely_fits

TEXTS = st.sampled_from(["", "a", "ab", "abc"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.0, 1.5, -1.0, 1e300, 2**70, 3.0])
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SIZES = st.integers(0, 3)
KINDS = st.sampled_from(
    ["string", "boolean", "integer", "number", "array", "object", "null", ["string", "null"]]
)


def schemas(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS,
            "description": TEXTS,
            "default": PLAIN,
            "minimum": NUMBERS,
            "maximum": NUMBERS,
            "exclusiveMinimum": NUMBERS,
            "minLength": SIZES,
            "maxLength": SIZES,
            "enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=repr),
            "const": VALUES,
            "minItems": SIZES,
            "maxItems": SIZES,
            "items": inner,
            "properties": st.dictionaries(TEXTS, inner, max_size=3),
            "required": st.lists(TEXTS, unique=True, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
        },
    )


SCHEMAS = st.recursive(st.booleans() | schemas(st.just({})), schemas, max_leaves=5)


@settings(max_examples=500, deadline=None)
@given(SCHEMAS, VALUES)
def test_what_surely_fits_fits(schema, value):
    if surely_fits(schema, value):
        assert jsonschema.Draft7Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "default": "x", "description": "d"}, "a"),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 3),
        ({"type": "number"}, 1),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, ["a", "b"]),
        ({"type": "string", "enum": ["a", "b"]}, "b"),
        ({"type": "null"}, None),
        ({}, [{}]),
        (
            {
                "type": "object",
                "properties": {"n": {"type": "integer"}, "m": {"type": "string"}},
                "required": ["n"],
                "additionalProperties": False,
            },
            {"n": 1},
        ),
    ],
)
def test_what_most_bots_declare_is_told_at_a_glance(schema, value):
    assert surely_fits(schema, value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, True),
        ({"type": "number"}, False),
        ({"type": "string", "pattern": "a"}, "a"),
        ({"type": "string", "format": "duration"}, "1h"),
        ({"enum": [1]}, True),
        ({"type": "object", "additionalProperties": False}, {"a": 1}),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1]),
        ({"type": "array", "items": [{"type": "string"}]}, ["a"]),
        ({"type": "object", "required": ["a"]}, {}),
        ({"type": ["string", "null"]}, []),
        (False, 1),
    ],
)
def test_everything_else_is_looked_at_closer(schema, value):
    assert not surely_fits(schema, value)
