import peewee as pw
import pytest

from codex32.api import errors
from codex32.api.errors import Internal, document, status_of, told
from codex32.kernel import errors as kernel
from codex32.kernel.database import connect
from codex32.kernel.errors import Codex32Error, InputsInvalid
from codex32.kernel.problems import Problem
from codex32.services.safe.requests import RequestUnderWay


def kinds(root=Codex32Error):
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


#: Faults of ours, which no caller can mend: they are told as 500, without details.
OURS = {
    "PluginError",
    "PluginLoadError",
    "PluginContractError",
    "FolderHeld",
    "Internal",
    "WithProblems",  # what several have in common
}


@pytest.mark.parametrize("module", [kernel, errors])
def test_every_error_has_a_status_or_is_known_to_be_ours(module):
    without = {
        kind.__name__
        for kind in kinds()
        if kind.__module__ == module.__name__
        and not kind.__name__.startswith("_")
        and not any(each in errors.STATUSES for each in kind.__mro__)
    }
    assert without <= OURS


def test_an_unexpected_error_tells_nothing(caplog):
    known, _ = told(RuntimeError("password=hunter2"))
    assert isinstance(known, Internal)
    assert "hunter2" not in str(document(known, "req_1"))
    assert "hunter2" in caplog.text


def test_a_database_that_does_not_answer_is_told_with_patience():
    with pytest.raises(pw.OperationalError, match=r"127\.0\.0\.1") as raised:
        connect("postgresql://somebody@127.0.0.1:1/none").connect()
    known, headers = told(raised.value)
    assert (status_of(known), headers) == (503, {"Retry-After": "5"})
    assert "127.0.0.1" not in known.message


def test_a_document_lists_all_problems_without_their_empty_parts():
    error = InputsInvalid("the inputs do not fit:", [Problem("no", "a"), Problem("nor", "b.0")])
    assert document(error, "req_1") == {
        "type": "urn:codex32:problem:inputs-invalid",
        "title": "The inputs of an execution do not fit what the bot declares",
        "status": 422,
        "detail": "the inputs do not fit",
        "code": "inputs-invalid",
        "request_id": "req_1",
        "errors": [
            {"message": "no", "path": "a", "code": "invalid"},
            {"message": "nor", "path": "b.0", "code": "invalid"},
        ],
    }


def test_the_nearest_class_decides_the_status():
    assert status_of(kernel.ExpressionFault("x")) == 422
    assert status_of(kernel.SchemaOutOfDate(["a"])) == 503
    assert status_of(Codex32Error("x")) == 500


def test_whoever_asks_while_the_first_is_under_way_is_told_when_to_come_again():
    known, headers = told(RequestUnderWay())
    assert (status_of(known), headers) == (409, {"Retry-After": "1"})
