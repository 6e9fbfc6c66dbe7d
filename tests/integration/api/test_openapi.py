"""The document tells what is served, no more and no less."""

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from codex32.api.application import all_operations, build_application
from codex32.api.callers import Gatekeeper
from codex32.api.tables import filled, tables

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def declared(runtime):
    return all_operations(runtime)


async def test_the_document_equals_the_router(api, declared):
    document = (await api("GET", "/api/v1/openapi.json", token=None)).json
    app = build_application(declared, Gatekeeper("t"))
    assert {
        (method.upper(), path) for path, entry in document["paths"].items() for method in entry
    } == {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD"
    }


async def test_every_schema_is_one_and_every_reference_leads_somewhere(api):
    answer = await api("GET", "/api/v1/openapi.json", token=None)
    document = answer.json
    assert document["openapi"].startswith("3.1.")
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert used <= set(schemas)
    assert "$defs" not in answer.text


async def test_each_operation_says_who_may_call_it_and_what_its_path_holds(api, declared):
    document = (await api("GET", "/api/v1/openapi.json", token=None)).json
    for operation in declared:
        entry = document["paths"][operation.path][operation.route.method.lower()]
        assert entry["operationId"] == operation.route.operation
        open_to_all = operation.route.policy == "public"
        assert (entry.get("security") == []) is open_to_all
        assert entry.get("x-permission") == (None if open_to_all else operation.route.policy)
        names = {each["name"] for each in entry.get("parameters", []) if each.get("in") == "path"}
        assert names == set(re.findall(r"\{(\w+)\}", operation.path))


async def test_the_bodies_of_the_document_refuse_unknown_keys(api):
    schemas = (await api("GET", "/api/v1/openapi.json", token=None)).json["components"]["schemas"]
    assert schemas["ExecuteIn"]["additionalProperties"] is False


def test_the_reference_has_the_tables_that_follow_from_declarations(declared):
    folder = Path(__file__).parents[3] / "docs" / "reference"
    for page, name, table in tables(declared):
        text = (folder / page).read_text()
        assert table in text, f"run: python -m codex32.api.tables docs/reference ({name})"
        assert filled(text, name, table) == text
