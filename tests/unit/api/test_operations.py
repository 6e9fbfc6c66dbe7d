from dataclasses import replace

import pytest
from pydantic import BaseModel

from codex32 import Route
from codex32.api.operations import Operation, check_operations
from codex32.kernel.errors import PluginContractError

GOOD = Route("GET", "/books", "books.list", "books.read", lambda request: None)


def operation(**changes):
    return Operation(replace(GOOD, **changes), "/api/v1", "shelf")


def test_a_good_route_is_taken():
    check_operations([operation()])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"policy": ""}, "no policy"),
        ({"method": "get"}, "method is none of GET, POST"),
        ({"path": "books"}, "does not begin with a slash"),
        ({"operation": ""}, "operation id"),
        ({"body": BaseModel}, "GET has no body"),
        ({"form": BaseModel}, "GET has no body"),
        ({"method": "POST", "body": BaseModel, "raw": True}, "one of `body`, `form` and `raw`"),
        ({"rate": "furious"}, "rate is none of normal"),
    ],
)
def test_a_route_that_leaves_something_open_is_refused(changes, fault):
    with pytest.raises(PluginContractError, match=fault) as raised:
        check_operations([operation(**changes)])
    assert raised.value.plugin == "shelf"


def test_two_routes_may_not_share_an_id_or_a_place():
    with pytest.raises(PluginContractError, match="operation id"):
        check_operations([operation(), operation(path="/others")])
    with pytest.raises(PluginContractError, match="taken"):
        check_operations([operation(), operation(operation="books.others")])
