"""The form of what services say: for people, or for Elasticsearch and its like."""

from __future__ import annotations

import logging

from codex32.cli import ecs
from codex32.cli.output import clean
from codex32.cli.printed import mask_what_is_printed
from codex32.kernel.drivers import as_if_missing
from codex32.kernel.masking import handed_out
from codex32.kernel.redaction import Unbroken, unsaid
from codex32.kernel.subject import subject
from codex32.kernel.tracing import TraceContext
from codex32_config.settings import Settings

with as_if_missing("rich"):  # its own pretty form for terminals is not ours
    import structlog
    from structlog.stdlib import ProcessorFormatter
    from structlog.typing import EventDict, WrappedLogger

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
    mask_what_is_printed()
    ecs.log_what_nobody_catches()
    # A plugin's own structlog takes the same way.
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def formatter(form: str) -> logging.Formatter:
    """What makes a line of a record: ``text`` or ``ecs``."""
    made = _Ecs if form == "ecs" else _Text
    return made(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[_ecs if form == "ecs" else _text],
    )


class _Text(Unbroken, ProcessorFormatter):
    """For people."""


class _Ecs(Unbroken, ProcessorFormatter, ecs.Form):
    """Of a process with structlog."""


def _text(_: WrappedLogger, __: str, event: EventDict) -> str:
    record: logging.LogRecord = event["_record"]
    told = {key: value for key, value in subject.get()._asdict().items() if value}
    if (place := told.get("trace")) is not None:
        told["trace"] = TraceContext.of(place).trace
    told |= {key: value for key, value in event.items() if key not in _OURS}
    line = f"{record.levelname} {record.name}: {event['event']}"
    if told:
        line += f"  [{' '.join(f'{key}={value}' for key, value in told.items())}]"
    if error := _error(event):
        line += f"\n{ecs.stack(error)}"
    # Masked as it is, then made harmless: what bots and strangers say begins no line of ours.
    return clean(unsaid(line)).replace("\n", "\n    ")


def _ecs(_: WrappedLogger, __: str, event: EventDict) -> str:
    record: logging.LogRecord = event["_record"]
    about = subject.get()
    # Who speaks of many in turn says with the line which it is.
    more = ecs.fields({part: event.get(part) or getattr(about, part, "") for part in ecs.NAMES})
    if about.trace is not None:
        context = TraceContext.of(about.trace)
        more |= {"trace.id": context.trace, "span.id": context.span}
    ours = _OURS | ecs.NAMES.keys()
    # A dot would make one label a part of another.
    given = {unsaid(k).replace(".", "_"): str(v) for k, v in event.items() if k not in ours}
    if given:
        more["labels"] = given
    if error := _error(event):
        more |= ecs.of_fault(error)
    return ecs.line(
        str(event["event"]), record.levelname.lower(), record.name, more, at=record.created
    )


def _error(event: EventDict) -> BaseException | None:
    match event.get("exc_info"):
        case BaseException() as error:
            return error
        case (_, BaseException() as error, _):
            return error
    return None
