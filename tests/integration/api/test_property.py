"""Whatever the document allows to be sent, and much that it does not, is answered as it says."""

import contextlib

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from codex32.api.application import all_operations
from codex32.api.openapi import openapi

#: Examples of each operation, of what the document allows and of what it does not.
EXAMPLES = 3
#: Of those that only read, which are cheap.
READING = 5
#: They do not end by themselves: of them the beginning is looked at.
STREAM = "text/event-stream"
HEADERS = {"Authorization": "Bearer a token of the test"}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def tried(mode):
    return schemathesis.GenerationMode(mode)


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_nothing_is_answered_that_the_document_does_not_tell(runtime, served, mode, add_bot):
    add_bot("ping")
    operations = [each for each in all_operations(runtime) if each.route.content_type != STREAM]
    schema = schemathesis.openapi.from_dict(openapi(operations))
    faults = []
    for found in schema.get_all_operations():
        operation = found.ok()

        try:
            hold_to(operation, served, HEADERS, mode)
        except BaseExceptionGroup as group:
            faults += [f"{operation.label}: {each}" for each in group.exceptions]
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_a_stream_begins_or_is_refused_whatever_is_sent(runtime, served, mode):
    operations = [each for each in all_operations(runtime) if each.route.content_type == STREAM]
    schema = schemathesis.openapi.from_dict(openapi(operations))
    statuses = set()

    def begin(case, **sent):
        with requests.request(**case.as_transport_kwargs(**sent), stream=True) as answer:
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (answer.url, answer.text)

    for found in schema.get_all_operations():
        hold_to(found.ok(), served, HEADERS, mode, begin)
    assert statuses <= {200, 404, 422}
    assert statuses & {200, 422}


def answered(case, **sent):
    """Send it, and hold the answer to the document."""
    case.call_and_validate(**sent, checks=CHECKS)


def hold_to(operation, url, headers, mode, carry_out=answered):
    """Try one operation with a handful of requests, the same in every run."""

    @hypothesis.settings(
        max_examples=READING if operation.method == "get" else EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=tried(mode), **fixed(operation)))
    def check(case):
        carry_out(case, base_url=url, headers=headers)

    # Where nothing can be sent, nothing wrong can be sent either.
    with contextlib.suppress(hypothesis.errors.Unsatisfiable):
        check()


def fixed(operation):
    """What is there, so that more than its absence is tried."""
    known = {"headers": {"X-Workspace": "default"}}
    if operation.path.startswith("/api/v1/bots/{name}"):
        known["path_parameters"] = {"name": "ping"}
    if operation.path.endswith(("/execute", "/executions")) and operation.method == "post":
        known["query"] = {"wait": 0}  # nobody carries them out here
    return known
