"""Calls the author's ``main`` and tells the house what came of it."""

from __future__ import annotations

import os
import sys

import codex32_step
from codex32_sandbox.bare import Socket, dumps, loads
from codex32_sandbox.channel import ANSWER, send_text
from codex32_sandbox.house import House

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_MAX_TRACEBACK = 16_000
#: What prints lines of code. It brings 10 ms of modules along, which few of the first cells need.
_SHOW_LINES = ("traceback", "logging")
#: Folders of the house; where they lie is nobody's business.
_OURS = tuple(f"{os.path.dirname(each)}/" for each in (__file__, codex32_step.__file__))


def run(order: dict[str, Any], channel: Socket) -> NoReturn:
    """Run the program of ``order`` in this process, and end it."""
    house = House(channel)
    codex32_step._at(house)
    sys.path += order["packages"]
    answer = _answer(order)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # noqa: S110 - they may be anything by now
        pass
    send_text(channel, ANSWER, _packed(answer, order["max_output_bytes"]))
    # Not exit: threads that the program left running must not hold it open.
    os._exit(0)


def rehearse() -> None:
    """Do once what is done for every program, so that none pays for a first time."""
    order = {"code": "def main():\n    return None", "file": "<none>", "args": {}}
    loads(_packed(_answer(order), 1000))
    del sys.modules["bot"]


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    file, text = order["file"], order["code"]
    if "linecache" in sys.modules or any(module in text for module in _SHOW_LINES):
        _keep_lines(file, text)
    try:
        code = compile(text, file, "exec", dont_inherit=True)
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
    file = order["file"]
    try:
        import traceback

        _keep_lines(file, order["code"])
        told = traceback.TracebackException.from_exception(error, limit=-50)
        _drop_our_frames(told, file)
        lines = "".join(told.format())
        # What is indented before it is where a SyntaxError was found.
        named = "".join(told.format_exception_only()).splitlines()
        sentence = next(line for line in named if not line.startswith("  "))
    except BaseException:
        # The author's own __str__ may fail in turn.
        lines, sentence = "", type(error).__name__
    return {"error": sentence[:2000], "traceback": lines[-_MAX_TRACEBACK:], "code": code}


def _keep_lines(file: str, text: str) -> None:
    """Let tracebacks show the author's lines, the program's own ones as well."""
    import linecache

    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def _drop_our_frames(told: Any, file: str) -> None:
    """Begin the traceback of each error where the author's code begins, and leave out our own."""
    errors = [told]
    while errors:
        told = errors.pop()
        names = [frame.filename for frame in told.stack]
        first = names.index(file) if file in names else len(names)
        theirs = [each for each in told.stack[first:] if not each.filename.startswith(_OURS)]
        told.stack[:] = theirs
        others = (told.__cause__, told.__context__, *(told.exceptions or ()))
        errors += [each for each in others if each is not None]


def _packed(answer: dict[str, Any], most: int) -> bytes:
    try:
        packed = dumps(answer)
    except (TypeError, ValueError, RecursionError, MemoryError) as error:
        message = f"main must return JSON (dict, list, str, int, float, bool, None): {error}"
        fault = {"error": message, "traceback": "", "code": "not-json"}
        packed = dumps(fault)
    if "output" in answer and len(packed) > most:
        message = f"main returned {len(packed)} bytes of JSON; at most {most} are taken"
        fault = {"error": message, "traceback": "", "code": "too-long"}
        packed = dumps(fault)
    return packed
