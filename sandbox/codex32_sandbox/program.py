"""Calls the author's ``main`` and tells the house what came of it."""

from __future__ import annotations

import json
import linecache
import os
import socket
import sys
import traceback

import codex32_step
from codex32_sandbox.channel import ANSWER, send_text
from codex32_sandbox.house import House

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_MAX_TRACEBACK = 16_000


def run(order: dict[str, Any], channel: socket.socket) -> NoReturn:
    """Run the program of ``order`` in this process, and end it."""
    house = House(channel)
    codex32_step._at(house)
    sys.path += order["packages"]
    answer = _answer(order)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    send_text(channel, ANSWER, _packed(answer, order["max_output_bytes"]))
    # Not exit: threads that the program left running must not hold it open.
    os._exit(0)


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    file = order["file"]
    try:
        code = compile(order["code"], file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return _fault("syntax", error, order)
    # A module of its own, so that what looks itself up by name (dataclasses, pickle) finds it.
    sys.argv = [file]
    module = type(sys)("bot")
    module.__file__ = file
    sys.modules["bot"] = module
    try:
        exec(code, module.__dict__)  # noqa: S102 - this is what the process is for
        main = module.__dict__.get("main")
        if not callable(main):
            message = "the code defines no function `main`; add `def main():`"
            return {"error": message, "traceback": "", "code": "no-main"}
        return {"output": _call(main, order["args"])}
    except SystemExit as error:
        if error.code in (None, 0):
            return {"output": None}
        return _fault("raised", error, order)
    except BaseException as error:
        return _fault("raised", error, order)


def _call(main: Callable[..., Any], args: dict[str, Any]) -> Any:
    value = main(**args)
    if not hasattr(value, "__await__"):
        return value
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


def _fault(code: str, error: BaseException, order: dict[str, Any]) -> dict[str, Any]:
    file, text = order["file"], order["code"]
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    try:
        told = traceback.TracebackException.from_exception(error, limit=-50)
        _drop_our_frames(told, file)
        lines = "".join(told.format())
        sentence = "".join(told.format_exception_only()).strip().splitlines()[-1]
    except BaseException:
        # The author's own __str__ may fail in turn.
        lines, sentence = "", type(error).__name__
    return {"error": sentence[:2000], "traceback": lines[-_MAX_TRACEBACK:], "code": code}


def _drop_our_frames(told: Any, file: str) -> None:
    """Begin each traceback of the chain where the author's code begins."""
    while told is not None:
        names = [frame.filename for frame in told.stack]
        first = names.index(file) if file in names else len(names)
        del told.stack[:first]
        told = told.__cause__ or told.__context__


def _packed(answer: dict[str, Any], most: int) -> bytes:
    try:
        text = json.dumps(answer, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError, MemoryError) as error:
        message = f"main must return JSON (dict, list, str, int, float, bool, None): {error}"
        fault = {"error": message, "traceback": "", "code": "not-json"}
        text = json.dumps(fault)
    if "output" in answer and len(text) > most:
        message = f"main returned {len(text)} bytes of JSON; at most {most} are taken"
        fault = {"error": message, "traceback": "", "code": "too-long"}
        text = json.dumps(fault)
    return text.encode()
