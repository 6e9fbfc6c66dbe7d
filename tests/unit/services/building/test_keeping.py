"""Tests that are there go on being run."""

import pytest

from codex32.services.building.keeping import gone, kept, meanings_of_python

BEFORE = """\
import pytest

@pytest.fixture
def main(step_main):
    return step_main("shares", "share")

def test_halves(main):
    assert main(n=2) == 5

class TestNobody:
    def test_nothing(self, main):
        assert main(n=0) == 0
"""


def named(name, **more):
    return {"name": name, **more}


def test_a_test_that_is_left_out_stays_and_one_of_its_name_takes_its_place():
    former = [named("one"), named("two"), {"expect": {"status": "skipped"}}]
    found = kept(former, [named("three"), named("two", at="noon")], lambda each: True)
    assert found == [named("one"), named("two", at="noon"), former[2], named("three")]


def test_what_speaks_of_a_step_that_is_gone_goes_with_it():
    found = kept([named("one"), named("two")], [], lambda each: each["name"] == "two")
    assert found == [named("two")]


@pytest.mark.parametrize(
    ("python", "steps", "lost"),
    [
        (BEFORE, ["share"], []),
        (BEFORE.replace("test_halves", "test_thirds"), ["share"], ["test_halves"]),
        (BEFORE.partition("class")[0], ["share"], ["TestNobody::test_nothing"]),
        ("", ["share", "other"], ["test_halves", "TestNobody::test_nothing"]),
        ("", ["other"], []),  # the step that they ask for is gone
    ],
)
def test_no_test_of_python_is_dropped(python, steps, lost):
    assert gone(BEFORE, python, steps) == lost


def test_pytest_that_is_no_python_holds_nobody_and_is_none_when_it_is_new():
    assert gone("def test_(:", BEFORE, ["share"]) == []
    with pytest.raises(SyntaxError):
        gone(BEFORE, "def test_(:", ["share"])


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (BEFORE.replace("== 5", "==  5  # half"), []),
        (BEFORE.replace("== 5", "== 4"), ["pytest test_halves was changed"]),
        (BEFORE.replace("n=0", "n=9"), ["pytest TestNobody::test_nothing was changed"]),
        (BEFORE.replace('"share")', '"other")'), ["what its pytest shares is other"]),
        (f"{BEFORE}\ndef test_more():\n    pass\n", ["pytest test_more was added"]),
        (BEFORE.partition("class")[0], ["pytest TestNobody::test_nothing was removed"]),
        ("def test_(:", ["pytest for its Python is other"]),
    ],
)
def test_whoever_is_shown_a_change_is_told_which_tests_of_python_are_other(after, told):
    assert [each.text for each in meanings_of_python(BEFORE, after)] == told
