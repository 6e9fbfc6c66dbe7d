"""Named places in the code where a test can stop the world.

``CODEX32_FAULT_POINTS="execution.before_finish=kill"`` arms a point in a process; tests in one
process use :func:`arm`. An unarmed point costs one look into an empty mapping.
"""

from __future__ import annotations

import itertools
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
    """Arm points from ``name=ACTION`` or ``name=ACTION@N``, comma-separated.

    ``kill`` ends the process as kill -9 does, ``exit`` without a word, ``stop`` freezes it until
    SIGCONT, ``sleep:SECONDS`` holds up the thread. With ``@N`` only the N-th pass does it.

    Raises:
      ValueError: An action is none of these.
    """
    for entry in filter(None, text.split(",")):
        name, _, rest = entry.partition("=")
        action, _, which = rest.partition("@")
        if (which and not which.isdigit()) or (found := _action(action)) is None:
            raise ValueError(
                f"fault point {entry!r}: the action is kill, exit, stop or sleep:SECONDS, "
                "and may be followed by @ and the number of the pass that is meant"
            )
        arm(name, _at_pass(int(which), found) if which else found)


def _action(text: str) -> Callable[[], None] | None:
    kind, _, seconds = text.partition(":")
    if kind == "sleep" and seconds.replace(".", "", 1).isdigit():
        return lambda: time.sleep(float(seconds))
    numbers = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
    if text in numbers:
        return lambda: os.kill(os.getpid(), numbers[text])
    return (lambda: os._exit(3)) if text == "exit" else None


def _at_pass(number: int, action: Callable[[], None]) -> Callable[[], None]:
    passes = itertools.count(1)

    def act() -> None:
        if next(passes) == number:
            action()

    return act
