"""Whatever the document allows to be sent, and much that it does not, is answered as it says."""

import contextlib

import hypothesis
import pytest
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
#: They do not end by themselves; that they begin, and to whom, is tried elsewhere.
LEFT_OUT = "text/event-stream"
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
    operations = [each for each in all_operations(runtime) if each.route.content_type != LEFT_OUT]
    schema = schemathesis.openapi.from_dict(openapi(operations))
    headers = {"Authorization": "Bearer a token of the test"}
    faults = []
    for found in schema.get_all_operations():
        operation = found.ok()

        try:
            hold_to(operation, served, headers, mode)
        except BaseExceptionGroup as group:
            faults += [f"{operation.label}: {each}" for each in group.exceptions]
    assert not faults, "\n\n".join(faults)


def hold_to(operation, url, headers, mode):
    """Try one operation with a handful of requests, the same in every run."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=tried(mode), **fixed(operation)))
    def check(case):
        case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)

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
