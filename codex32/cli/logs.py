"""The form of what services say: for people, or for Elasticsearch and its like."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from codex32.cli.output import clean
from codex32.kernel.drivers import as_if_missing
from codex32.kernel.json_values import dumps
from codex32.kernel.masking import handed_out
from codex32.kernel.redaction import unsaid
from codex32.kernel.subject import subject
from codex32.kernel.tracing import TraceContext
from codex32_config.settings import Settings

with as_if_missing("rich"):  # its own pretty form for terminals is not ours
    import structlog
    from structlog.stdlib import ProcessorFormatter
    from structlog.typing import EventDict, WrappedLogger

log = logging.getLogger(__name__)

#: The version of the Elastic Common Schema whose names are used.
ECS_VERSION = "8.17.0"
#: Names of a subject's parts in the schema; what it has no name for stands below our own.
_SUBJECT: Mapping[str, str] = {
    "workspace": "codex32.workspace",
    "bot": "codex32.bot",
    "execution": "codex32.execution.id",
    "request": "http.request.id",
}
#: What the libraries add, and is no field that somebody gave.
_OURS = frozenset(
    {"event", "exc_info", "stack_info", "_record", "_from_structlog", "message", "asctime"}
)


def speak_as_set(settings: Settings) -> None:
    """Let this process say what the settings want, in the form they want."""
    level = settings.log.level.upper()
    for name in ("codex32", "codex32_workers"):
        logging.getLogger(name).setLevel(level)
    # What a bot tells people is not chatter, whatever the level.
    logging.getLogger("codex32.notify").setLevel(logging.INFO)
    for secret in settings.secret_values():
        handed_out.keep(secret)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter(settings.log.format))
    # What nobody catches in a thread, and what nobody can, is neither in our form nor masked.
    if threading.excepthook is threading.__excepthook__:  # nobody else has asked for it
        threading.excepthook, sys.unraisablehook = _of_thread, _unraisable
        logging.captureWarnings(True)
    # A plugin's own structlog takes the same way.
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _of_thread(args: threading.ExceptHookArgs) -> None:
    if not issubclass(args.exc_type, SystemExit):
        name = "a thread" if args.thread is None else f"the thread {args.thread.name}"
        log.error("%s ended by a fault", name, exc_info=args.exc_value)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    log.error("%s", args.err_msg or "a fault that nobody can catch", exc_info=args.exc_value)


def formatter(form: str) -> logging.Formatter:
    """What makes a line of a record: ``text`` or ``ecs``."""
    return ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[_ecs if form == "ecs" else _text],
    )


def _text(_: WrappedLogger, __: str, event: EventDict) -> str:
    record: logging.LogRecord = event["_record"]
    told = {key: value for key, value in subject.get()._asdict().items() if value}
    if isinstance(trace := told.get("trace"), TraceContext):
        told["trace"] = trace.trace
    told |= {key: value for key, value in event.items() if key not in _OURS}
    line = f"{record.levelname} {record.name}: {event['event']}"
    if told:
        line += f"  [{' '.join(f'{key}={value}' for key, value in told.items())}]"
    if error := _error(event):
        line += f"\n{_stack(error)}"
    # Masked as it is, then made harmless: what bots and strangers say begins no line of ours.
    return clean(unsaid(line)).replace("\n", "\n    ")


def _ecs(_: WrappedLogger, __: str, event: EventDict) -> str:
    record: logging.LogRecord = event["_record"]
    document: dict[str, Any] = {
        "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "log.level": record.levelname.lower(),
        "message": str(event["event"]),
        "ecs.version": ECS_VERSION,
        "log.logger": record.name,
        "service.name": "codex32",
        "service.version": version("codex32"),
        "process.pid": record.process,
    }
    about = subject.get()
    for part, name in _SUBJECT.items():
        # Who speaks of many in turn says with the line which it is.
        if found := event.get(part) or getattr(about, part):
            document[name] = str(found)
    if about.trace is not None:
        document |= {"trace.id": about.trace.trace, "span.id": about.trace.span}
    given = {
        key: str(value) for key, value in event.items() if key not in _OURS and key not in _SUBJECT
    }
    if given:
        document["labels"] = given
    if error := _error(event):
        document["error.type"] = type(error).__name__
        document["error.message"] = str(error)
        document["error.stack_trace"] = _stack(error)
    return dumps(_without_secrets(document))


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


def _error(event: EventDict) -> BaseException | None:
    match event.get("exc_info"):
        case BaseException() as error:
            return error
        case (_, BaseException() as error, _):
            return error
    return None


def _stack(error: BaseException) -> str:
    return logging.Formatter().formatException((type(error), error, error.__traceback__))
