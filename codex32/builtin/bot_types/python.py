"""The author's own Python, in a process of its own."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from codex32 import (
    JSON,
    Allow,
    BotType,
    Cause,
    Failed,
    Outcome,
    Problem,
    Program,
    StepContext,
    Succeeded,
)

_LONGEST = 256 * 1024
#: Ends that another try may avoid; the others lie in the code or in what it answers.
_RETRYABLE = frozenset({"raised", "killed", "timeout", "packages-unavailable"})
_PINNED = re.compile(r"\s*[A-Za-z0-9][\w.-]*\s*(\[[\w.,\s-]*\])?\s*==\s*[A-Za-z0-9][\w.!+-]*\s*")


class PythonBotType(BotType):
    """Calls ``main(**args)`` of the given code; never in a process of the house."""

    name: ClassVar[str] = "python"
    summary: ClassVar[str] = "Call main(**args) of your own Python code."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "code": {
                "type": "string",
                "description": "Python with a function main; it may be async. What it returns, "
                "as JSON, is the output; what it prints becomes log lines.",
            },
            "file": {
                "type": "string",
                "description": "Instead of code: a Python file, relative to the bot file.",
            },
            "args": {"type": "object", "description": "Arguments of main, by name."},
            "runtime": {
                "type": "string",
                "default": "cpython",
                "description": "What runs it: cpython, or what an installed sandbox has beside "
                "it. The house itself has no other (decision 18).",
            },
            "requires": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 50,
                "description": "Packages the code imports, as name==version; each must be named "
                "in allow.packages.",
            },
        },
    }
    inlined_files: ClassVar[Mapping[str, str]] = {"file": "code"}

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """Code that cannot be compiled or has no ``main``; it is parsed and never run."""
        faults = []
        for number, package in enumerate(params.get("requires") or ()):
            if not _PINNED.fullmatch(package):
                message = f"{package!r} must name one exact version, as httpx==0.28.1 does"
                faults.append(Problem(message, path=f"requires.{number}", code="unpinned"))
        code = params.get("code")
        if code is not None:
            faults += _faults(code)
        elif "file" not in params:
            faults.append(Problem("needs `code` or `file`", code="missing"))
        return faults

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """Code reads what it is given, what it may reach, and the bot's state if it asks."""
        code = params.get("code", "")
        asks = "codex32_step" in code and "state" in code
        return asks or bool(allow.hosts or allow.files)

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Hand the code to the program runner."""
        result = await context.run_program(
            Program(
                code=params["code"],
                args=params.get("args", {}),
                file=params.get("file", f"<{context.step.id}>"),
                requires=tuple(params.get("requires") or ()),
                runtime=params.get("runtime", "cpython"),
            )
        )
        if result.error is None:
            return Succeeded(result.output, state=result.state)
        return Failed(
            result.error,
            retryable=result.code in _RETRYABLE,
            code=result.code,
            cause=Cause.TIMEOUT if result.code == "timeout" else Cause.ERROR,
            detail={"traceback": result.traceback} if result.traceback else None,
        )


def _faults(code: str) -> list[Problem]:
    if "${{" in code:
        message = (
            "code is taken as it is written; hand values over in `args`, "
            "or what comes from outside would become code"
        )
        return [Problem(message, path="code", code="expression")]
    if len(code) > _LONGEST:
        return [Problem("code may have at most 256 KiB", path="code", code="too-long")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except SyntaxError as error:
        message = f"line {error.lineno or 1}: {error.msg}"
        return [Problem(message, path="code", code="syntax")]
    except (ValueError, RecursionError, MemoryError):
        message = "code cannot be parsed: it is nested too deeply or holds broken characters"
        return [Problem(message, path="code", code="syntax")]
    except SystemError:
        # CPython gh-106905: a parse within a parse loses count. The program itself will tell.
        return []
    return [] if _defines_main(tree) else [_NO_MAIN]


_NO_MAIN = Problem(
    "code defines no function `main`; add `def main():`", path="code", code="no-main"
)


def _defines_main(tree: ast.Module) -> bool:
    # Also `main = other` or an import may bring it; a definition may stand under an `if`.
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name="main") | ast.AsyncFunctionDef(name="main"):
                return True
            case ast.Name(id="main", ctx=ast.Store()):
                return True
            case ast.alias(name=name, asname=asname) if (asname or name) in ("main", "*"):
                return True
    return False
