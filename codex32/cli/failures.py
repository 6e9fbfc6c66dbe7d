"""How commands fail: a clear line for people, a document for programs, a code for scripts."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import click

from codex32.cli.output import clean
from codex32.kernel.redaction import scrub

#: Everything went well; an execution succeeded or was skipped.
OK = 0
#: The execution failed or was cancelled; a check found faults.
FAILED = 1
#: The command line, or the inputs on it, make no sense.
USAGE = 2
#: What was named is not there, or is in no state for this.
NOT_POSSIBLE = 3
#: Settings, plugins, database or Redis are not as they must be.
NOT_READY = 4
#: The execution has not ended: it waits for somebody's decision.
UNDECIDED = 5
#: A fault of Codex-32 itself.
BUG = 70
#: Ctrl-C.
INTERRUPTED = 130

_BY_CODE: Mapping[str, int] = {
    "bot-invalid": FAILED,
    "trigger-invalid": FAILED,
    "inputs-invalid": USAGE,
    "form-invalid": USAGE,
    "event-invalid": USAGE,
    "secret-invalid": USAGE,
    "connection-invalid": USAGE,
    "key-ring-invalid": NOT_READY,
    "key-missing": NOT_READY,
    "audit-broken": FAILED,
    "plugin": NOT_READY,
    "plugin-load": NOT_READY,
    "plugin-contract": NOT_READY,
    "schema-out-of-date": NOT_READY,
    "migration-changed": NOT_READY,
    "redis-not-running": NOT_READY,
    "database": NOT_READY,
    "settings": NOT_READY,
    "usage": USAGE,
    "internal": BUG,
}


class CommandFailed(click.ClickException):
    """A command cannot do what was asked; one sentence says why, and what to do."""

    def __init__(self, message: str, code: str = "error", status: int = NOT_POSSIBLE) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Tell the error on standard error; the exit code that goes with it."""
    told, exit_code = describe(error)
    # Nothing has said what the form is where nothing has loaded it.
    if (ecs := sys.modules.get("codex32.cli.ecs")) and ecs.is_spoken() and not as_json:
        texts = [told["message"], *(problem["text"] for problem in told["problems"])]
        more = {"error.code": told["code"]}
        if debug or told["code"] == "internal":
            more |= ecs.of_fault(error)
        print(ecs.line("\n".join(texts), "error", __name__, more), file=sys.stderr)
        return exit_code
    if debug:
        print(scrub("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    if as_json:
        print(json.dumps(told, ensure_ascii=False), file=sys.stderr)
        return exit_code
    if isinstance(error, click.UsageError) and error.ctx is not None:
        print(error.ctx.get_usage(), file=sys.stderr)
    print(clean(f"error: {told['message']}"), file=sys.stderr)
    for problem in told["problems"]:
        print(clean(f"  {problem['text']}"), file=sys.stderr)
    if told["code"] == "internal" and not debug:
        print("this is a fault of Codex-32; --debug shows where", file=sys.stderr)
    return exit_code


def describe(error: BaseException) -> tuple[dict[str, Any], int]:
    """``{"code", "message", "problems"}`` of an error, and its exit code."""
    match error:
        case CommandFailed():
            return _told(error.code, error.message), error.status
        case click.ClickException():
            code = "usage" if isinstance(error, click.UsageError) else "error"
            return _told(code, error.format_message()), error.exit_code
        case ValueError() if type(error).__name__ == "SettingsError":
            return _told("settings", str(error)), NOT_READY
    # What was never imported was not raised; these take long to import.
    if (house := sys.modules.get("codex32.kernel.errors")) and isinstance(
        error, house.Codex32Error
    ):
        problems = [
            {**problem.as_dict(), "text": str(problem)}
            for problem in getattr(error, "problems", ())
        ]
        message = error.message.partition("\n")[0] if problems else error.message
        return _told(error.code, message, problems), _BY_CODE.get(error.code, NOT_POSSIBLE)
    if (peewee := sys.modules.get("peewee")) and isinstance(error, peewee.PeeweeException):
        reason = str(error).strip().partition("\n")[0]
        return _told("database", f"the database cannot be used: {reason}"), NOT_READY
    if isinstance(error, OSError) and error.filename is not None:
        return _told("file", f"{error.filename}: {error.strerror}"), NOT_POSSIBLE
    return _told("internal", f"{type(error).__name__}: {error}"), BUG


def _told(code: str, message: str, problems: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"code": code, "message": scrub(message), "problems": problems or []}
