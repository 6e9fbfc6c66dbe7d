"""Lines of the log in the Elastic Common Schema, of nothing that takes long to load.

``codex32 up`` waits for others and shall hold little, so it says what it says by this alone.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from codex32.kernel.json_values import dumps
from codex32.kernel.redaction import Unbroken, unsaid

log = logging.getLogger(__name__)

#: The version of the schema whose names are used.
VERSION = "8.17.0"
#: What lines are about, and its names in the schema; what it has none for stands below our own.
NAMES: Mapping[str, str] = {
    "workspace": "codex32.workspace",
    "bot": "codex32.bot",
    "execution": "codex32.execution.id",
    "request": "http.request.id",
    "file": "file.path",
}


def fields(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a line is about, by the schema's names; what is empty is left out."""
    return {NAMES[part]: str(value) for part, value in about.items() if value}


def line(
    message: str, level: str, logger: str, more: Mapping[str, Any], *, at: float | None = None
) -> str:
    """A line without secrets; ``at`` in seconds since the epoch, now by default."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    document = {
        "@timestamp": moment.isoformat(timespec="microseconds"),
        "log.level": level,
        "message": message,
        "ecs.version": VERSION,
        "log.logger": logger,
        "service.name": "codex32",
        "service.version": _version(),
        "process.pid": os.getpid(),
        **more,
    }
    return dumps(_without_secrets(document))


def of_fault(error: BaseException) -> dict[str, Any]:
    """The fields that tell of an error."""
    return {
        "error.type": type(error).__name__,
        "error.message": str(error),
        "error.stack_trace": stack(error),
    }


def stack(error: BaseException) -> str:
    """Where it was raised, as Python tells it."""
    return logging.Formatter().formatException((type(error), error, error.__traceback__))


def is_line(text: str) -> bool:
    """Whether a process said it in this form."""
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return isinstance(said, dict) and "@timestamp" in said


class Form(logging.Formatter):
    """What makes lines of this form of records."""


def is_spoken() -> bool:
    """Whether this process says what it says in this form, to nobody at a terminal."""
    spoken = any(isinstance(each.formatter, Form) for each in logging.getLogger().handlers)
    return spoken and not sys.stderr.isatty()


class _Plain(Form):
    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        error = record.exc_info[1] if record.exc_info else None
        more = of_fault(error) if error is not None else {}
        level = record.levelname.lower()
        return line(record.getMessage(), level, record.name, more, at=record.created)


class PlainForm(Unbroken, _Plain):
    """That of a process without structlog."""


def log_what_nobody_catches() -> None:
    """Log what ends a process or a thread, or cannot even be raised: in the form, and masked."""
    if threading.excepthook is threading.__excepthook__:  # nobody else has asked for it
        threading.excepthook, sys.unraisablehook = _of_thread, _unraisable
        sys.excepthook = _of_process
        logging.captureWarnings(True)


def _of_process(kind: type[BaseException], error: BaseException, _: object) -> None:
    log.critical("the process ended by a fault: %s", kind.__name__, exc_info=error)


def _of_thread(args: threading.ExceptHookArgs) -> None:
    if not issubclass(args.exc_type, SystemExit):
        name = "a thread" if args.thread is None else f"the thread {args.thread.name}"
        log.error("%s ended by a fault", name, exc_info=args.exc_value)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    log.error("%s", args.err_msg or "a fault that nobody can catch", exc_info=args.exc_value)


@cache
def _version() -> str:
    return version("codex32")


def _without_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    # Text by text: what stands in the place of a secret must not break the JSON.
    return {
        key: _without_secrets(value)
        if isinstance(value, dict)
        else unsaid(value)
        if isinstance(value, str)
        else value
        for key, value in document.items()
    }
