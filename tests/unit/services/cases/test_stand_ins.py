"""What answers for a step that failed, in the test that is made from its execution."""

import pytest

from codex32.builtin.bot_types.http import HttpBotType
from codex32.engine.reading.building import build_bot
from codex32.services.cases.stand_ins import Failed, Went, likely, stand_in, stand_in_for_items

GOOD = {"status": 200, "headers": {}, "body": "well", "url": "https://example.com/b"}
SERVED = {"status": 200, "headers": {}, "body": "well"}


def step(kind="http", **more):
    return build_bot(
        {"name": "x", "steps": [{"id": "it", "type": kind, "with": {}, **more}]}
    ).steps[0]


def asked(path):
    return {"url": f"https://example.com/{path}"}


def same(path):
    url = f"https://example.com/{path}"
    return f'request.url == "{url}" || request.url.startsWith("{url}?")'


def test_items_that_went_well_say_what_they_said_and_the_one_that_failed_fails_as_often():
    items = [
        Went(asked("a"), {**GOOD, "body": "of a"}),
        Failed("503", "http-503", asked("b"), tries=2),
        Went(asked("c"), GOOD),
    ]
    assert stand_in_for_items(step(), items, GOOD) == {
        "http": [
            {"url": "*", "if": same("a"), "status": 200, "headers": {}, "body": "of a"},
            {"url": "*", "if": same("b"), "status": 503, "times": 2},
            {"url": "*", "if": same("c"), **SERVED},
            {"url": "*", **SERVED},
        ]
    }


def test_an_item_that_trying_again_cannot_help_fails_for_as_long_as_it_is_asked_the_same():
    items = [Failed("no", "raised", {"n": 0}), Went({"n": 2}, 5)]
    first, second, rest = stand_in_for_items(step("acme.divide"), items, 5)["acme.divide"]
    assert first == {"if": 'params == parse_json("{\\"n\\":0}")', "error": "no", "code": "raised"}
    assert (second["output"], rest) == (5, {"output": 5})


@pytest.mark.parametrize("given", [None, {"url": "https://example.com/***"}])
def test_where_nobody_knows_what_an_item_was_asked_all_fail_and_then_none(given):
    items = [Failed("503", "http-503", given, tries=2)]
    fault = {"error": "503", "code": "http-503", "retryable": True}
    assert stand_in_for_items(step(), items, GOOD) == {
        "it": {"tries": [fault, fault, {"output": GOOD}]}
    }


def test_a_query_belongs_to_an_address_and_more_of_a_path_does_not():
    refused, rest = stand_in(step(), Failed("404", "http-404", asked("b?x=1")), GOOD)["http"]
    url = "https://example.com/b?x=1"
    assert refused["if"] == f'request.url == "{url}" || request.url.startsWith("{url}&")'
    assert rest == {"url": "*", **SERVED}


def test_of_what_never_answered_as_little_is_said_as_its_type_may_say():
    assert likely(step(), HttpBotType.output_schema)["status"] == 200
    assert likely(step("approve"), {})["approved"] is True
    schema = {
        "type": "object",
        "required": ["id", "n", "list", "any", "kind", "one"],
        "properties": {
            "id": {"type": "string"},
            "n": {"type": "integer", "minimum": 1},
            "list": {"type": "array"},
            "any": {},
            "kind": {"enum": ["a", "b"]},
            "one": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "more": {"type": "string"},
        },
    }
    found = likely(step("acme.x"), schema)
    assert found == {"id": "", "n": 1, "list": [], "any": None, "kind": "a", "one": False}
