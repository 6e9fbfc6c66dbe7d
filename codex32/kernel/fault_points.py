"""Named places in the code where a test can stop the world.

``CODEX32_FAULT_POINTS="execution.before_finish=kill"`` arms a point in a process; tests in one
process use :func:`arm`. An unarmed point costs one look into an empty mapping.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

_armed: dict[str, Callable[[], None]] = {}


def fault_point(name: str) -> None:
    """Do what a test has armed for ``name``; otherwise nothing."""
    if _armed:
        action = _armed.get(name)
        if action is not None:
            action()


def arm(name: str, action: Callable[[], None]) -> None:
    """Let ``action`` happen each time ``name`` is passed, until :func:`disarm`."""
    _armed[name] = action


def disarm() -> None:
    """Forget every armed point."""
    _armed.clear()


def arm_from_environment(text: str) -> None:
    """Arm points from ``name=kill``, ``name=exit``, ``name=sleep:SECONDS``, comma-separated.

    Raises:
      ValueError: An action is none of these.
    """
    for entry in filter(None, text.split(",")):
        name, _, action = entry.partition("=")
        if action == "kill":
            arm(name, lambda: os.kill(os.getpid(), signal.SIGKILL))
        elif action == "exit":
            arm(name, lambda: os._exit(3))
        elif action.startswith("sleep:"):
            seconds = float(action.removeprefix("sleep:"))
            arm(name, lambda seconds=seconds: time.sleep(seconds))  # type: ignore[misc]
        else:
            raise ValueError(f"fault point {entry!r}: the action is kill, exit or sleep:SECONDS")
