import jsonschema
import pytest

from codex32.builtin.bot_types import all_bot_types
from codex32.builtin.triggers import all_trigger_types

BOT_TYPES = {bot_type.name: bot_type for bot_type in all_bot_types()}


def inner(schema):
    """The schema and all schemas of properties below it."""
    yield schema
    for below in schema.get("properties", {}).values():
        yield from inner(below)


def valid(bot_type, params):
    return jsonschema.Draft7Validator(BOT_TYPES[bot_type].params_schema).is_valid(params)


@pytest.mark.parametrize("bot_type", BOT_TYPES.values(), ids=BOT_TYPES)
def test_parameters_are_closed_and_described(bot_type):
    jsonschema.Draft7Validator.check_schema(bot_type.params_schema)
    jsonschema.Draft7Validator.check_schema(bot_type.output_schema)
    for schema in inner(bot_type.params_schema):
        assert "properties" not in schema or schema["additionalProperties"] is False
        for name, below in schema.get("properties", {}).items():
            assert below["description"].endswith("."), name
    assert bot_type.summary.endswith(".")


@pytest.mark.parametrize("trigger_type", all_trigger_types(), ids=lambda t: t.name)
def test_configurations_are_described(trigger_type):
    jsonschema.Draft7Validator.check_schema(trigger_type.config_schema)
    assert trigger_type.config_schema["description"].endswith(".")


@pytest.mark.parametrize(
    "params",
    [
        {"expect": "2xx"},
        {"expect": 204},
        {"expect": [200, "4xx"]},
        {"follow": True},
        {"follow": 3},
        {"json": None},
        {"auth": {"basic": {"username": "a", "password": "b"}}},
        {"max_bytes": "1MiB"},
        {"page": {"next": "response.body.next", "max_pages": 3}},
    ],
)
def test_http_takes(params):
    assert valid("http", {"url": "https://example.com", **params})


@pytest.mark.parametrize(
    "params",
    [
        {"expect": "ok"},
        {"expect": 99},
        {"expect": ["20"]},
        {"method": "get"},
        {"follow": 21},
        {"auth": {}},
        {"auth": {"bearer": "a", "basic": {"username": "a", "password": "b"}}},
        {"auth": {"basic": {"username": "a"}}},
        {"headers": {"a": 1}},
        {"page": {}},
        {"cookies": {}},
    ],
)
def test_http_refuses(params):
    assert not valid("http", {"url": "https://example.com", **params})
