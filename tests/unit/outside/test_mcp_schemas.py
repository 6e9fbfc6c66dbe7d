"""Schemas of strangers become such as the house checks by, and never stricter ones."""

import sys

import jsonschema
import pytest

from codex32.engine.values.validation import Validator, schema_findings
from codex32.outside.mcp.schemas import plain

NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
SCHEMAS = {
    "defs": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"City": {"type": "string", "minLength": 2}},
        "properties": {"to": {"$ref": "#/$defs/City", "description": "Where to."}},
        "required": ["to"],
    },
    "recursive": {"type": "object", "properties": NODE["properties"], "$defs": {"Node": NODE}},
    "itself": {"type": "object", "properties": {"more": {"$ref": "#"}}},
    "elsewhere": {"properties": {"x": {"$ref": "https://example.com/schema.json"}}},
    "nowhere": {"properties": {"x": {"$ref": "#/$defs/Gone"}}},
    "circle": {"properties": {"x": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}},
    "patterns": {
        "properties": {"x": {"type": "string", "pattern": "^(?!no).*$", "description": "Any."}},
        "patternProperties": {"^y": {"type": "integer"}},
        "additionalProperties": False,
    },
    "names": {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}},
    "any": {"properties": {"x": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/N"}]}},
            "$defs": {"N": {"type": "integer", "format": "expression"}}},
    "wide": {"$defs": {"L": {"anyOf": [{"$ref": "#/$defs/L"}] * 9}},
             "properties": {"x": {"$ref": "#/$defs/L"}}},
    "one": {"properties": {"x": {"oneOf": [{"type": "string", "format": "date"},
                                           {"type": "string", "pattern": "^n"}]}}},
    "one and any": {"properties": {"x": {"oneOf": [{"pattern": "a"}, {"pattern": "b"}],
                                         "anyOf": [{"type": "string"}, {"type": "null"}]}}},
    "not": {"properties": {"x": {"type": "string", "not": {"pattern": "^n"}}}},
    "if": {"properties": {"x": {"type": "string"}},
           "if": {"properties": {"x": {"pattern": "^n"}}},
           "then": {"required": ["y"]}, "else": {"required": ["x"]}},
    "tuple": {"properties": {"x": {"prefixItems": [{"type": "string"}],
                                   "items": {"type": "integer"}}}},
    "at most": {"properties": {"x": {"contains": {"type": "null"},
                                     "minContains": 0, "maxContains": 1}}},
    "empty": {},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_made_of_a_schema_is_one_that_the_house_takes(name):
    made = plain(SCHEMAS[name])
    assert made["type"] == "object"
    assert schema_findings(made) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("defs", {"to": "Oslo"}),
        ("recursive", {"next": {"next": {"next": {}}}}),
        ("itself", {"more": {"more": {}}}),
        ("patterns", {"x": "yes", "y1": 1}),
        ("names", {"pattern": "a", "$ref": "b"}),
        ("any", {"x": 3}),
        ("one", {"x": "yes"}),
        ("one and any", {"x": "a"}),
        ("not", {"x": "yes"}),
        ("if", {"x": "yes"}),
        ("tuple", {"x": ["a", 1]}),
        ("at most", {"x": []}),
    ],
)
def test_what_a_server_takes_is_taken(name, value):
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(value)
    assert Validator(plain(SCHEMAS[name])).findings(value) == []


def test_what_is_referred_to_is_written_out_and_a_pattern_is_told():
    made = plain(SCHEMAS["defs"])
    to = {"type": "string", "minLength": 2, "description": "Where to."}
    assert made == {"type": "object", "properties": {"to": to}, "required": ["to"]}
    assert Validator(made).findings({"to": "x"})
    told = plain(SCHEMAS["patterns"])["properties"]["x"]
    assert told == {"type": "string", "description": "Any. Pattern: ^(?!no).*$"}


def test_what_is_nested_too_deeply_is_left_to_the_server():
    deep = {"type": "string"}
    for _ in range(sys.getrecursionlimit()):
        deep = {"items": deep}
    assert plain({"properties": {"x": deep}}) == {"type": "object"}
