"""The schema that editors and machines get agrees with the reader."""

import copy
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex32.builtin.bot_types import all_bot_types
from codex32.builtin.notifiers import all_notifiers
from codex32.builtin.triggers import all_trigger_types
from codex32.engine.reading.definition import Reader
from codex32.engine.reading.document import read_documents
from codex32.engine.reading.schema import bot_schema
from codex32.kernel.components import Components

DOCS = Path(__file__).parents[4] / "docs" / "reference" / "bot-file.md"


@pytest.fixture(scope="module")
def schema(components):
    return jsonschema.Draft7Validator(bot_schema(components))


@pytest.fixture
def full(full_text):
    return read_documents(full_text)[0].value


def test_the_schema_is_a_sound_schema_of_draft_7(components):
    jsonschema.Draft7Validator.check_schema(bot_schema(components))


def test_every_key_is_described(components):
    schema = bot_schema(components)
    for properties in (schema["properties"], schema["definitions"]["step"]["properties"]):
        assert [key for key, each in properties.items() if not each.get("description")] == []


def test_installed_types_and_kinds_are_listed(components):
    schema = bot_schema(components)
    assert schema["properties"]["type"]["enum"] == ["choose", "fetch", "note", "script", "stop"]
    kinds = schema["properties"]["triggers"]["items"]["oneOf"]
    assert [each["required"] for each in kinds] == [["cron"], ["every"], ["webhook"]]


def test_what_the_reader_accepts_the_schema_accepts(schema, full):
    assert list(schema.iter_errors(full)) == []
    assert (
        list(schema.iter_errors({"name": "x", "type": "fetch", "with": {"url": "http://x"}})) == []
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda bot: bot.update(timout="5s"),
        lambda bot: bot.update(timeout="5 seconds"),
        lambda bot: bot["steps"][0].update(type="nope"),
        lambda bot: bot["steps"][0]["with"].update(uri="x"),
        lambda bot: bot["steps"][0]["with"].pop("url"),
        lambda bot: bot["steps"][0].update(id="in"),
        lambda bot: bot["triggers"][0].update(every="5m"),
        lambda bot: bot["triggers"][0].pop("cron"),
        lambda bot: bot.pop("steps"),
    ],
)
def test_what_is_built_wrongly_neither_accepts(schema, reader, full, change):
    bot = copy.deepcopy(full)
    change(bot)
    assert list(schema.iter_errors(bot))
    assert reader.check_document(bot).problems


def some(**optional):
    return st.fixed_dictionaries({}, optional=optional)


PIECES = {
    "description": st.text(max_size=5),
    "enabled": st.booleans() | st.just("yes"),
    "priority": st.integers(-2000, 2000),
    "timeout": st.sampled_from(["5s", "1h30m", "x", "0.5h", 5]),
    "retry": some(attempts=st.integers(-1, 3), first=st.sampled_from(["1s", "?"])),
    "with": some(
        url=st.sampled_from(["http://x", "${{ trigger.url }}", "no uri", 5]),
        pages=st.sampled_from([0, 1, "2", "${{ 1 + 1 }}", None]),
        method=st.sampled_from(["GET", "get", "${{ 'GET' }}"]),
    ),
    "foreach": st.sampled_from([[], [1], "${{ [1] }}", "x", {}]),
    "parallel": st.integers(-1, 3),
    "triggers": st.lists(
        some(
            every=st.sampled_from(["5m", "x"]),
            cron=st.just("* * * * *"),
            overlap=st.sampled_from(["skip", "x"]),
        ),
        max_size=2,
    ),
}


@settings(max_examples=400, deadline=None)
@given(
    st.fixed_dictionaries({"type": st.sampled_from(["fetch", "stop", "nope"])}, optional=PIECES)
)
def test_no_bot_that_the_reader_accepts_is_refused_by_the_schema(schema, reader, document):
    if reader.check_document({"name": "x", **document}).bots:
        assert list(schema.iter_errors(document)) == []


def test_the_examples_of_the_reference_are_accepted_by_both():
    house = Components.of(
        bot_types=all_bot_types(), trigger_types=all_trigger_types(), notifiers=all_notifiers()
    )
    reader, schema = Reader(house), jsonschema.Draft7Validator(bot_schema(house))
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) >= 2
    for text in examples:
        for document in read_documents(text):
            assert reader.check_document({"name": "x", **document.value}).problems == []
            assert list(schema.iter_errors(document.value)) == []
