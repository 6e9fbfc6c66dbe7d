"""How a process of the house is told to stop, and that it stops."""

from __future__ import annotations

import faulthandler
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

#: What a process gets to let go of everything, beside what the work it is at may take.
STOP_SECONDS = 10.0
#: After so long, beside its own work's, a process is killed by whoever started it. It should have
#: ended itself before, saying what it was at.
KILL_SECONDS = 25.0
_STDERR = 2
#: Either of them tells a process to stop.
SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: A signal that another thread takes, or that comes as the first one falls asleep, does not wake
#: it; so it looks by itself now and then.
_LOOK_SECONDS = 1.0


def heed_signals() -> threading.Event:
    """Set once SIGTERM or SIGINT has come; for :func:`wait_for`. On the first thread."""
    told = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: told.set())
    _show_stacks_when_asked()
    return told


def wait_for(told: threading.Event) -> None:
    """Wait until a signal has come. On the first thread."""
    while not told.wait(_LOOK_SECONDS):
        pass


def heed_signals_on_loop() -> asyncio.Event:
    """Set once SIGTERM or SIGINT has come, for coroutines. On the first thread's loop."""
    import asyncio  # which what keeps the processes of ``up`` has no use for

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, told.set)
    _show_stacks_when_asked()
    return told


def end_within(seconds: float) -> None:
    """End this process by force if it does not end by itself, and print what each thread was at.

    Whose parent has died has nobody else who would do it. Nothing is lost: what it held goes on
    elsewhere once its leases have ended, as after ``kill -9``.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)


def _show_stacks_when_asked() -> None:
    """Print them on SIGUSR2, for whoever asks why a process hangs."""
    faulthandler.register(signal.SIGUSR2, _STDERR, all_threads=True)
