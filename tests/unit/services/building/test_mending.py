"""What a repair has to show before anybody is shown it."""

from codex32.services.building.mending import Mending
from codex32.services.building.session import Proof


def test_a_change_that_no_test_was_run_of_is_not_proved():
    mending = Mending({}, {"tests": [{"name": "fails no more"}, {"name": "goes as before"}]})
    passed = {"name": "fails no more", "passed": True, "faults": []}
    assert mending.weak(Proof([])) == [
        "test 'fails no more' did not run", "test 'goes as before' did not run"
    ]  # fmt: skip
    assert mending.weak(Proof([passed])) == ["test 'goes as before' did not run"]
    assert mending.weak(Proof([passed, {**passed, "name": "goes as before"}])) == []
