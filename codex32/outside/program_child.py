"""Runs one program: started by ``keeper.py`` as ``python -I -S program_child.py FD``.

Two processes stand here. The *keeper* makes the program's own process and does nothing but end
it: when the program is done, when the line to the worker (standard input) closes because the
worker wants so or has died, and with it all that the program has started. The *program* sets its
limits, calls ``main`` and writes its answer into the file that ``FD`` is.

Only what is needed is imported, and only where it is needed: start-up is most of the cost.
"""

from __future__ import annotations

import marshal
import os
import sys

# mypy: disable-error-code="attr-defined, union-attr"
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGKILL = 9
_MAX_TRACEBACK = 16_000
#: Rounds of killing what is left; each catches what the last one's victims had started.
_MAX_ROUNDS = 1000


def _read_request() -> dict[str, Any]:
    with open(0, "rb", buffering=1 << 16, closefd=False) as line:
        size = int.from_bytes(line.read(8), "big")
        request: dict[str, Any] = marshal.loads(line.read(size))  # noqa: S302 - from our parent
    return request


# the keeper


def _keep(request: dict[str, Any]) -> NoReturn:
    import select

    prctl = _prctl()
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)
        _become_program(request)
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(os.pidfd_open(child), select.POLLIN)
    ready = dict(poll.poll())
    if 0 in ready:
        os.kill(child, _SIGKILL)
    _, status = os.waitpid(child, 0)
    _end_descendants()
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _prctl() -> Callable[[int, int], None]:
    import ctypes

    library = ctypes.CDLL(None)

    def call(option: int, value: int) -> None:
        library.prctl(option, ctypes.c_ulong(value), 0, 0, 0)

    return call


def _end_descendants() -> None:
    """Kill all that the program left behind; orphans of any session are the keeper's children."""
    for _ in range(_MAX_ROUNDS):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
                children = [int(text) for text in file.read().split()]
        except OSError:
            return
        if not children:
            return
        for child in children:
            try:
                os.kill(child, _SIGKILL)
            except ProcessLookupError:
                continue
        for child in children:
            os.waitpid(child, 0)


# the program


def _become_program(request: dict[str, Any]) -> NoReturn:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.set_inheritable(_answer_fd(), False)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.stderr.reconfigure(errors="backslashreplace")
    _limit(request["limits"])
    os.mkdir(request["directory"], 0o700)
    os.chdir(request["directory"])
    answer = _answer(request)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    _write(answer, request["max_output_bytes"])
    # Not exit: threads that the program left running must not hold it open.
    os._exit(0)


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        which = getattr(resource, name)
        _, hard = resource.getrlimit(which)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the soft limit of processor time a signal tells why; the hard one is the end.
        resource.setrlimit(which, (bound, bound + 1 if name == "RLIMIT_CPU" else bound))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    file = request["file"]
    try:
        code = compile(request["code"], file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return _fault("syntax", error, request)
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
        return {"output": _call(main, request["args"])}
    except SystemExit as error:
        if error.code in (None, 0):
            return {"output": None}
        return _fault("raised", error, request)
    except BaseException as error:
        return _fault("raised", error, request)


def _call(main: Callable[..., Any], args: dict[str, Any]) -> Any:
    value = main(**args)
    if not hasattr(value, "__await__"):
        return value
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


def _fault(code: str, error: BaseException, request: dict[str, Any]) -> dict[str, Any]:
    import linecache
    import traceback

    file, text = request["file"], request["code"]
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


def _write(answer: dict[str, Any], most: int) -> None:
    import json

    try:
        text = json.dumps(answer, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError, MemoryError) as error:
        message = f"main must return JSON (dict, list, str, int, float, bool, None): {error}"
        text = json.dumps({"error": message, "traceback": "", "code": "not-json"})
    if "output" in answer and len(text) > most:
        message = f"main returned {len(text)} bytes of JSON; at most {most} are taken"
        text = json.dumps({"error": message, "traceback": "", "code": "too-long"})
    data = memoryview(text.encode())
    while data:
        data = data[os.write(_answer_fd(), data) :]


def _answer_fd() -> int:
    return int(sys.orig_argv[-1])


if __name__ == "__main__":
    _request = _read_request()
    if hasattr(os, "pidfd_open"):
        _keep(_request)
    _become_program(_request)
