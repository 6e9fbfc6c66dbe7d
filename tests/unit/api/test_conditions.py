"""If-Match and If-None-Match, as RFC 9110 has them."""

import pytest
from multidict import CIMultiDict

from codex32.api.conditions import etag, is_known, precondition
from codex32.api.errors import PreconditionFailed, RequestInvalid


def holds(headers, tag):
    try:
        precondition(headers)(tag)
    except PreconditionFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "value", "tag", "answer"),
    [
        ("If-Match", '"v1"', "v1", True),
        ("If-Match", '"v2"', "v1", False),
        ("If-Match", '"v2", "v1"', "v1", True),
        ("If-Match", '"v1.yaml"', "v1", True),  # another representation of the same
        ("If-Match", '"v1x"', "v1", False),
        ("If-Match", 'W/"v1"', "v1", False),  # weak tags match nothing here
        ("If-Match", "*", "v1", True),
        ("If-Match", "*", None, False),
        ("If-Match", '"v1"', None, False),
        ("If-None-Match", "*", None, True),
        ("If-None-Match", "*", "v1", False),
        ("If-None-Match", '"v1"', "v1", False),
        ("If-None-Match", 'W/"v1"', "v1", False),
        ("If-None-Match", '"v2"', "v1", True),
    ],
)
def test_a_condition_holds_or_does_not(name, value, tag, answer):
    assert holds({name: value}, tag) is answer


def test_a_condition_may_stand_in_several_lines():
    headers = CIMultiDict([("if-match", '"v2"'), ("If-Match", '"v1"')])
    assert holds(headers, "v1")
    assert not holds(headers, "v3")
    unwanted = CIMultiDict([("If-None-Match", '"v2"'), ("If-None-Match", '"v1"')])
    assert not holds(unwanted, "v1")
    with pytest.raises(RequestInvalid):  # an asterisk is no tag of a list
        precondition(CIMultiDict([("If-None-Match", '"v2"'), ("If-None-Match", "*")]))


def test_without_a_condition_nothing_is_demanded():
    assert precondition({}) is None


@pytest.mark.parametrize("value", ["", "v1", '"a" "b"', '"a",', "\x00", '"a\n"'])
def test_what_is_no_list_of_tags_is_refused(value):
    with pytest.raises(RequestInvalid):
        precondition({"If-Match": value})


def test_a_representation_is_known_by_its_own_tag_alone():
    assert is_known({"If-None-Match": etag("v1", "json")}, "v1", "json")
    assert is_known({"If-None-Match": f"W/{etag('v1', 'json')}"}, "v1", "json")
    assert not is_known({"If-None-Match": etag("v1", "yaml")}, "v1", "json")
    assert not is_known({}, "v1", "json")
