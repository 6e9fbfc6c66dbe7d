"""Looks that come together: a process that wakes once for all of them does less than for each.

What is looked at again and again while nothing happens costs mostly the waking: threads, and
caches that others have used meanwhile.
"""

from __future__ import annotations

import random
import time

#: Processes of one machine shall not all look at the same moment.
_PHASE = random.random()  # noqa: S311
#: So close to a beat, the next one is meant.
_NEAR_SECONDS = 0.005


def until_beat(seconds: float) -> float:
    """How long to wait until the next multiple of ``seconds``, on this process's own clock.

    All that look every second, or a part of it, do so at the same moment.
    """
    left = seconds - (time.monotonic() + _PHASE) % seconds
    return left if left > _NEAR_SECONDS else left + seconds
