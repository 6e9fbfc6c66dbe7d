"""No answer has a place for what must not be shown but those that are here with their reason."""

import re

import pytest

from codex32.api.application import all_operations
from codex32.api.openapi import openapi

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

_LOOKS_SECRET = re.compile(r"hash|secret|token|password|credential|private", re.IGNORECASE)
#: Places of such names, by schema, and why they may stand in an answer.
REASONS = {
    "AuditEntryOut.hash": "an HMAC of the chain, by which entries are verified",
    "VerdictOut.hash": "the same, of the newest entry",
    "ConnectionOut.secrets": "names of secrets, and no value",
    "SecretShownOut.secret": "of an outbound webhook, shown once, when it is replaced",
    "WebhookMadeOut.secret": "the same, when it is made",
    "TokenOut.access_token": "what RFC 6749, 5.1 answers",
    "TokenOut.refresh_token": "the same",
    "TokenOut.token_type": "the same",
    "ModelOut.context_tokens": "a count of a text's parts",
    "ModelOut.output_tokens": "the same",
    "SpentOut.input_tokens": "the same",
    "SpentOut.output_tokens": "the same",
}


def shown(document):
    """The schemas that answers hold, by name, with the names of their properties."""
    schemas, found = document["components"]["schemas"], {}

    def walk(value):
        if isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in schemas and name not in found:
                found[name] = set(properties(schemas[name]))
                walk(schemas[name])
            for each in value.values():
                walk(each)

    for entry in document["paths"].values():
        for operation in entry.values():
            walk(operation["responses"])
    return found


def properties(schema):
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for each in schema.values():
            yield from properties(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from properties(each)


def test_what_looks_like_a_secret_has_a_place_only_where_there_is_a_reason(runtime):
    found = shown(openapi(all_operations(runtime)))
    assert len(found) > 50
    places = {
        f"{schema}.{name}"
        for schema, names in found.items()
        for name in names
        if _LOOKS_SECRET.search(name)
    }
    assert places == set(REASONS)
