"""Ending a process, and all that it started: what keepers and leashes have in common."""

from __future__ import annotations

import os
import select
import time

from codex32_sandbox.bare import signal

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from codex32_sandbox.watching import Watch

#: Rounds of killing what is left; each catches what the last one's victims had started.
_MAX_ROUNDS = 1000


def wait_for(
    child: int, channel: int, grace_seconds: float = 0.0, watch: Watch | None = None
) -> int:
    """Until the child ends, or is ended since the channel closes or the watch finds it too much.

    Args:
      child: Its process id, which for a grace is that of its group, too.
      channel: A descriptor.
      grace_seconds: What the group is given to end by itself, once it is told to.
      watch: Over what a program is and does.

    Returns:
      Its exit code, negative for a signal.
    """
    # The bell is rung by SIGCHLD; that of the zygote, which we were, is another one.
    hear, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(hear, select.POLLIN)
    poll.register(channel, getattr(select, "POLLRDHUP", 0) | select.POLLHUP)
    if watch is not None:
        watch.begin(poll)
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            return os.waitstatus_to_exitcode(status)
        if ended == 0:
            ready = dict(poll.poll(None if watch is None else watch.pause_milliseconds))
            if hear in ready:
                os.read(hear, 512)
            if watch is not None:
                watch.look(child, poll, ready)
            if channel in ready or (watch is not None and watch.exceeded):
                break
    if grace_seconds:
        poll.unregister(channel)
        told = _ended_by_itself(child, poll, hear, grace_seconds)
        if told is not None:
            return os.waitstatus_to_exitcode(told)
    try:
        os.kill(child, signal.SIGKILL)
    except PermissionError:
        # In a cell it has the house's user; the kernel ends it with this process, which is the
        # first there. On a leash it has become another user, as sudo does.
        return -signal.SIGKILL
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _ended_by_itself(child: int, poll: select.poll, hear: int, grace_seconds: float) -> int | None:
    """Tell a child and its group to end; how it did, if it did in time."""
    try:
        os.killpg(child, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return None
    last = time.monotonic() + grace_seconds
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            return status
        if ended == 0:
            left = last - time.monotonic()
            if left <= 0:
                return None
            if poll.poll(left * 1000):
                os.read(hear, 512)


def end_descendants(spared: frozenset[int] = frozenset()) -> None:
    """Kill all children, orphans that became ours among them, but those to be spared.

    Those of other users, which we may not kill, are left.
    """
    for _ in range(_MAX_ROUNDS):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
                children = {int(text) for text in file.read().split()} - spared
        except OSError:
            return
        if not children:
            return
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
            except PermissionError:
                spared |= {child}
        for child in children - spared:
            os.waitpid(child, 0)
