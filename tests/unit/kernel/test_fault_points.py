import os
import signal
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


@pytest.mark.parametrize(
    ("action", "code"),
    [("kill", -9), ("exit", 3), ("sleep:0", 0), ("sleep:0.01", 0), ("kill@1", -9), ("kill@2", 0)],
)
def test_points_are_armed_from_the_environment(action, code):
    program = (
        "from codex32.kernel.fault_points import *\n"
        f"arm_from_environment('other=exit,here={action}')\n"
        "fault_point('here')"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == code


def test_a_process_can_be_frozen_and_goes_on_later():
    program = (
        "from codex32.kernel.fault_points import *\n"
        "arm_from_environment('here=stop')\n"
        "fault_point('here')"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0


def test_the_pass_that_is_meant_is_counted(monkeypatch):
    passed = []
    monkeypatch.setattr(fault_points.os, "_exit", passed.append)
    fault_points.arm_from_environment("here=exit@3")
    for expected in ([], [], [3], [3]):
        fault_points.fault_point("here")
        assert passed == expected


@pytest.mark.parametrize("action", ["explode", "kill@soon", "sleep", "sleep:long", ""])
def test_an_unknown_action_is_refused(action):
    with pytest.raises(ValueError, match=f"'here={action}': the action is kill, exit, stop or"):
        fault_points.arm_from_environment(f"here={action}")
