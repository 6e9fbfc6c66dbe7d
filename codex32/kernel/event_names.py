"""The names of events, and patterns of them, as triggers, ``wait`` and publishers write them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache

from codex32.kernel.text import did_you_mean

#: What the house tells itself.
NAMES = (
    "execution.queued",
    "execution.started",
    "execution.waiting",
    "execution.succeeded",
    "execution.failed",
    "execution.cancelled",
    "execution.skipped",
    "step.finished",
    "bot.changed",
    "bot.failed",
    "bot.recovered",
    "trigger.skipped",
    "worker.lost",
    "plugin.failed",
    "webhook.disabled",
    "budget.warned",
    "budget.exhausted",
    "alert.fired",
    "alert.escalated",
    "alert.resolved",
)
#: What begins so is published by people, programs and bots, and by nobody else.
CUSTOM = "custom."

LONGEST_NAME = 128
#: Most characters of an event's data, as JSON.
LONGEST_DATA = 256 * 1024

_CUSTOM_NAME = re.compile(r"custom(\.[A-Za-z0-9_-]+)+")
WILD = re.compile(r"[*?\[]")


@lru_cache(maxsize=4096)
def matches(name: str, pattern: str) -> bool:
    """Whether an event of this name is meant by ``pattern``; ``*``, ``?`` and ``[…]`` are wild."""
    return fnmatchcase(name, pattern)


def name_fault(name: str) -> str:
    """What is wrong with a name under which somebody wants to publish; empty if nothing is."""
    if len(name) > LONGEST_NAME:
        return f"an event's name has at most {LONGEST_NAME} characters"
    if _CUSTOM_NAME.fullmatch(name):
        return ""
    if name in NAMES:
        return f"{name} is told by the house itself; what is published is called custom.something"
    return (
        f"{name!r} is no name for an event: write custom. and then letters, digits, _ and -, "
        "with dots between the parts, like custom.order.paid"
    )


def pattern_fault(pattern: str) -> str:
    """What is wrong with a name or pattern that is listened to; empty if nothing is."""
    if len(pattern) > LONGEST_NAME:
        return f"a pattern of events has at most {LONGEST_NAME} characters"
    literal = WILD.split(pattern)[0]
    if literal == pattern:
        return _listened_name_fault(pattern)
    # Of what is custom nobody knows the names; a pattern may mean some as far as it is plain.
    if literal.startswith(CUSTOM) or CUSTOM.startswith(literal):
        return ""
    if any(matches(name, pattern) for name in NAMES):
        return ""
    return f"no event fits {pattern!r}; there are {', '.join(NAMES)} and custom.*"


def _listened_name_fault(name: str) -> str:
    if name in NAMES or _CUSTOM_NAME.fullmatch(name):
        return ""
    if name.startswith(CUSTOM):
        return name_fault(name)
    hint = did_you_mean(name, NAMES)
    return f"no event is called {name!r}{hint}; there are {', '.join(NAMES)} and custom.*"
