import subprocess
import sys

import pytest

from codex32.kernel import fault_points


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    fault_points.disarm()


def test_an_unarmed_point_does_nothing():
    fault_points.fault_point("attempt.before_commit")


def test_an_armed_point_acts_each_time_until_it_is_disarmed():
    passed = []
    fault_points.arm("here", lambda: passed.append(1))
    fault_points.fault_point("here")
    fault_points.fault_point("there")
    fault_points.fault_point("here")
    fault_points.disarm()
    fault_points.fault_point("here")
    assert passed == [1, 1]


@pytest.mark.parametrize(("action", "code"), [("kill", -9), ("exit", 3), ("sleep:0", 0)])
def test_points_are_armed_from_the_environment(action, code):
    program = (
        "from codex32.kernel.fault_points import *\n"
        f"arm_from_environment('other=exit,here={action}')\n"
        "fault_point('here')"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == code


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match="'here=explode': the action is kill, exit or sleep"):
        fault_points.arm_from_environment("here=explode")
