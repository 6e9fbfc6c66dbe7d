"""From a definition as plain data to a :class:`Bot`; the data was checked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codex32.engine.expressions import bare
from codex32.engine.reading.alert_schema import ALERT_DURATIONS, ALERT_KINDS
from codex32.engine.reading.schema import TRIGGER_KEYS
from codex32.kernel.bot import (
    ALLOWED_LISTS,
    Alert,
    Allow,
    Bot,
    Concurrency,
    Escalation,
    Rate,
    Retry,
    Step,
    Trigger,
)
from codex32.kernel.json_values import JSON
from codex32.kernel.text import parse_duration, parse_size

Raw = Mapping[str, Any]
#: The id of the step of a bot that is written without ``steps``.
MAIN = "main"
#: What a bot without ``steps`` says of its one step.
WORK_KEYS = (
    "type",
    "with",
    "foreach",
    "parallel",
    "on_item_error",
    "repeat",
    "idempotency_key",
)


def build_bot(document: Raw) -> Bot:
    """The bot of a checked document that holds its name and the text of its files."""
    get = document.get
    return Bot(
        name=document["name"],
        steps=_steps(steps_of(document)),
        document=document,
        description=get("description", ""),
        labels=get("labels", {}),
        enabled=get("enabled", True),
        triggers=tuple(_trigger(raw) for raw in get("triggers", ())),
        inputs=get("inputs", {}),
        allow=_allow(get("allow", {})),
        concurrency=Concurrency(**raw) if (raw := get("concurrency")) else None,
        rate=_rate(get("rate")),
        priority=get("priority", 0),
        timeout_seconds=parse_duration(get("timeout", "1h")),
        retry=_retry(get("retry")),
        on_failure=_steps(get("on_failure", ())),
        finally_=_steps(get("finally", ())),
        output=output_of(document),
        tests=get("tests", ()),
        evals=get("evals", ()),
        alerts=tuple(build_alert(raw) for raw in get("alerts", ())),
        retention=get("retention"),
    )


def steps_of(document: Raw) -> Sequence[Raw]:
    """The steps as written; the one step of a bot without ``steps`` is called main.

    A bot of alerts alone has none.
    """
    if "steps" in document:
        steps: Sequence[Raw] = document["steps"]
        return steps
    if "type" not in document:
        return []  # alerts alone
    return [{"id": MAIN, **{key: document[key] for key in WORK_KEYS if key in document}}]


def output_of(document: Raw) -> JSON:
    """The output as written; that of a bot without ``steps`` is its step's."""
    if "output" in document or "type" not in document or "steps" in document:
        return document.get("output")
    return f"${{{{ steps.{MAIN}.output }}}}"


def needs_of(steps: Sequence[Raw], index: int) -> tuple[str, ...]:
    """What a step needs: what it says, else the step above it."""
    written = steps[index].get("needs")
    if written is not None:
        return tuple(dict.fromkeys(written))
    return (steps[index - 1]["id"],) if index else ()


def kind_of(trigger: Raw) -> str:
    """The key that names the trigger's kind."""
    return next(key for key in trigger if key not in TRIGGER_KEYS)


def build_alert(raw: Raw) -> Alert:
    """A checked alert of a definition."""
    get = raw.get
    kind = next(key for key in raw if key in ALERT_KINDS)
    limit = raw[kind]
    if kind in ALERT_DURATIONS:
        limit = parse_duration(limit)
    return Alert(
        name=raw["name"],
        kind=kind,
        limit=limit,
        over_seconds=parse_duration(get("over", "1h")),
        at_least=get("at_least", 5 if kind == "failure_rate" else 1),
        for_seconds=parse_duration(get("for", "0s")),
        keep_seconds=parse_duration(get("keep_firing", "0s")),
        notify=get("notify", ()),
        escalate=Escalation(parse_duration(more["after"]), more["notify"])
        if (more := get("escalate"))
        else None,
        bots=tuple(get("bots", ())),
    )


def condition_of(raw: Raw) -> str | None:
    """The bare expression of ``if``; YAML's own true and false are expressions too."""
    match raw.get("if"):
        case None:
            return None
        case bool(value):
            return "true" if value else "false"
        case text:
            return bare(str(text))


def _steps(raws: Sequence[Raw]) -> tuple[Step, ...]:
    return tuple(_step(raw, needs_of(raws, index)) for index, raw in enumerate(raws))


def _step(raw: Raw, needs: tuple[str, ...]) -> Step:
    get = raw.get
    timeout = get("timeout")
    return Step(
        id=raw["id"],
        type=raw["type"],
        params=get("with", {}),
        needs=needs,
        needs_written="needs" in raw,
        condition=condition_of(raw),
        foreach=get("foreach"),
        parallel=get("parallel", 1),
        on_item_error=get("on_item_error", "fail"),
        retry=_retry(get("retry")),
        timeout_seconds=None if timeout is None else parse_duration(timeout),
        on_error=get("on_error", "fail"),
        rate=_rate(get("rate")),
        repeat=get("repeat"),
        idempotency_key=get("idempotency_key"),
    )


def _trigger(raw: Raw) -> Trigger:
    kind, get = kind_of(raw), raw.get
    return Trigger(
        kind=kind,
        config=raw[kind],
        timezone=get("timezone", "UTC"),
        on_missed=get("on_missed", "skip"),
        overlap=get("overlap"),
        dedupe=get("dedupe"),
        condition=condition_of(raw),
        inputs=get("inputs", {}),
        enabled=get("enabled", True),
    )


def _retry(raw: Raw | None) -> Retry | None:
    if raw is None:
        return None
    return Retry(
        attempts=raw["attempts"],
        first_seconds=parse_duration(raw.get("first", "1s")),
        factor=float(raw.get("factor", 2.0)),
        max_seconds=parse_duration(raw.get("max", "5m")),
    )


def _rate(raw: Raw | None) -> Rate | None:
    if raw is None:
        return None
    return Rate(raw["limit"], parse_duration(raw["per"]), raw.get("key"))


def _allow(raw: Raw) -> Allow:
    size, memory, cpu = raw.get("disk"), raw.get("memory"), raw.get("cpu")
    return Allow(
        **{key: tuple(raw[key]) for key in ALLOWED_LISTS if key in raw},
        spend_usd=raw.get("spend_usd", {}),
        memory_bytes=None if memory is None else parse_size(memory),
        cpu_seconds=None if cpu is None else parse_duration(cpu),
        processes=raw.get("processes"),
        disk_bytes=None if size is None else parse_size(size),
    )
