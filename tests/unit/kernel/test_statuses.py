import pytest

from codex32.kernel.errors import InvalidTransition
from codex32.kernel.statuses import FINAL, TRANSITIONS, Status, StepStatus, check_transition


def test_the_final_statuses_are_those_of_the_contract():
    final = {status.value for status in Status if status.final}
    assert final == {"succeeded", "failed", "cancelled", "skipped"}
    assert not StepStatus.UNKNOWN.final
    assert StepStatus.CANCELLED.final


@pytest.mark.parametrize("was", sorted(FINAL))
def test_a_final_status_never_changes(was):
    for wanted in Status:
        with pytest.raises(InvalidTransition, match=f"exe_1 is {was} and cannot become {wanted}"):
            check_transition("exe_1", was, wanted)


def test_every_status_can_be_reached_and_every_unfinished_one_can_be_cancelled():
    reached = set().union(*TRANSITIONS.values())
    assert reached == set(Status)
    assert all(Status.CANCELLED in TRANSITIONS[status] for status in set(Status) - FINAL)


def test_every_status_has_a_row():
    assert set(TRANSITIONS) == set(Status)


def test_an_allowed_change_passes():
    check_transition("exe_1", Status.QUEUED, Status.RUNNING)
