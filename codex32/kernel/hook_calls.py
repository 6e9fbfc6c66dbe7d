"""One plugin's implementation of one hook, called with what it asks for."""

from __future__ import annotations

import dis
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pluggy import HookImpl

_RAISE = dis.opmap["RAISE_VARARGS"]


@dataclass(frozen=True, slots=True)
class HookCall:
    """A hook of a plugin; calling it may raise whatever the plugin raises.

    With ``CODEX32_TRACE_PLUGINS=1`` each call, its plugin and its time go to standard error.
    """

    plugin: str
    hook: str
    implementation: HookImpl

    def __call__(self, **arguments: Any) -> Any:
        """Call it; it is given those of ``arguments`` that it names."""
        asked = [arguments[name] for name in self.implementation.argnames]
        if not os.environ.get("CODEX32_TRACE_PLUGINS"):
            return self.implementation.function(*asked)
        started = time.perf_counter()
        try:
            return self.implementation.function(*asked)
        finally:
            took = (time.perf_counter() - started) * 1000
            print(f"plugin {self.plugin}: {self.hook} {took:.2f}ms", file=sys.stderr)


class PluginRaised(Exception):
    """What a plugin raised, told in one line; its cause is what it was."""


@contextmanager
def of_plugin() -> Iterator[None]:
    """A block in which a plugin's code runs.

    In a process of the house what a plugin raises would be the house's end: SystemExit, panics of
    native modules, whatever is no Exception.

    Raises:
      PluginRaised: The plugin raised something.
    """
    try:
        yield
    except BaseException as error:
        if came_from_outside(error):
            raise
        raise PluginRaised(tell_error(error)) from error


def tell_error(error: BaseException) -> str:
    """A plugin's error in one line: its class, its message and the line it came from."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename[0] != "<"]
    if isinstance(error, SyntaxError) or not frames:
        return text
    return f"{text} ({frames[-1].filename}:{frames[-1].lineno})"


def came_from_outside(error: BaseException) -> bool:
    """Whether a plugin was stopped by it, as by Ctrl-C or the end of its coroutine.

    These come between any two instructions; what a plugin says with ``raise`` is its own fault,
    whatever it raises.
    """
    if not isinstance(error, KeyboardInterrupt | GeneratorExit):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is None or last.tb_frame.f_code.co_code[last.tb_lasti] != _RAISE
