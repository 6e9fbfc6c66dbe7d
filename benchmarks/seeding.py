"""Rows in bulk: bots with a trigger each, and a history as a busy year leaves it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from codex32.kernel.batches import Insert
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import canonical, dumps
from codex32.kernel.models import (
    AttemptRow,
    BotRow,
    ExecutionRow,
    OccurrenceRow,
    StepRow,
    TriggerRow,
    VersionRow,
)
from codex32.runtime import Runtime
from codex32.services.bots import schedules

#: Rows of one kind that are written in one transaction.
CHUNK = 5000
_DAY = 86_400_000_000
_HISTORY_DAYS = 25

_BOTS = Insert(BotRow, tuple(BotRow._meta.fields))
_VERSIONS = Insert(VersionRow, tuple(VersionRow._meta.fields))
_TRIGGERS = Insert(TriggerRow, tuple(TriggerRow._meta.fields))
_OCCURRENCES = Insert(OccurrenceRow, tuple(OccurrenceRow._meta.fields))
_ATTEMPTS = Insert(AttemptRow, tuple(AttemptRow._meta.fields))
_STEPS = Insert(StepRow, tuple(StepRow._meta.fields))
_EXECUTIONS = Insert(
    ExecutionRow,
    tuple(
        name
        for name in ExecutionRow._meta.fields
        if name not in {"idempotency_key", "gate", "gate_limit", "lease_at", "cancel_at"}
    ),
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """A bot in the database, with its live version and its trigger."""

    bot_id: str
    name: str
    version_id: str
    trigger_id: str


def bots(runtime: Runtime, prefix: str, count: int, text: str) -> list[Seeded]:
    """Make ``count`` bots of one definition with one trigger."""
    bot = runtime.reader.read_text(text, default_name=prefix).only_bot()
    (trigger,) = bot.triggers
    definition, now = schedules.stored(trigger), runtime.clock.micros()
    rule = canonical([trigger.kind, trigger.config, trigger.timezone])
    key = hashlib.sha256(rule.encode()).hexdigest()
    next_at = schedules.next_time(runtime.components.trigger_types, trigger, now)
    seeded, rows = [], []
    for number in range(count):
        each = Seeded(new_id("bot"), f"{prefix}-{number:06}", new_id("ver"), new_id("trg"))
        seeded.append(each)
        document = canonical({**bot.document, "name": each.name})
        digest = hashlib.sha256(document.encode()).hexdigest()
        rows.append(
            (
                {
                    "id": each.bot_id, "workspace": "default", "name": each.name, "origin": "api",
                    "enabled": True, "paused": False, "active_version_id": each.version_id,
                    "created_at": now, "updated_at": now,
                },
                {
                    "id": each.version_id, "bot_id": each.bot_id, "number": 1, "digest": digest,
                    "document": document, "text": text, "origin": "api", "created_at": now,
                },
                {
                    "id": each.trigger_id, "bot_id": each.bot_id, "key": key,
                    "kind": trigger.kind, "definition": definition, "enabled": True,
                    "next_at": next_at, "created_at": now,
                },
            )
        )  # fmt: skip
    for into, made in zip((_BOTS, _VERSIONS, _TRIGGERS), zip(*rows, strict=True), strict=True):
        _write(runtime.door, into, made)
    return seeded


def history(
    runtime: Runtime, of: Sequence[Seeded], count: int, tell: Callable[[int], None]
) -> None:
    """Write ``count`` ended executions of these bots, each with a step and an attempt.

    Half of them were started by their triggers, whose occurrences are there, too. They end with
    the present, and their ids lie as far back as their times. ``tell`` is told how many are
    written.
    """
    dice, now = random.Random(32), runtime.clock.micros()
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        kinds: dict[Insert, list[dict[str, Any]]] = {}
        for place in range(start, start + size):
            created = now - (count - place) * _HISTORY_DAYS * _DAY // count
            for into, row in _ended(dice, dice.choice(of), created):
                kinds.setdefault(into, []).append(row)
        runtime.door.write_now(partial(_write_kinds, kinds))
        tell(start + size)


def _ended(
    dice: random.Random, bot: Seeded, created: int
) -> Iterator[tuple[Insert, dict[str, Any]]]:
    execution_id = new_id("exe", now=lambda: created / 1e6)
    status = dice.choices(("succeeded", "failed", "cancelled", "skipped"), (95, 4, 0.9, 0.1))[0]
    kind = dice.choice(("cron", "cron", "manual", "api"))
    cause = dice.choice(("error", "timeout", "lost")) if status == "failed" else None
    started, finished = created + 4_000, created + 4_000 + dice.randrange(2_000, 900_000)
    worker, by_trigger = f"prc_{dice.randrange(4)}", kind == "cron"
    yield _EXECUTIONS, {
        "id": execution_id, "workspace": "default", "bot_id": bot.bot_id, "bot_name": bot.name,
        "version_id": bot.version_id, "version_number": 1, "status": status, "cause": cause,
        "message": "" if cause is None else f"step main: {cause}",
        "inputs": '{"who":"you"}', "trigger": dumps({"kind": kind, "at": "2026-01-01T00:00:00Z"}),
        "trigger_kind": kind, "trigger_id": bot.trigger_id if by_trigger else None,
        "depth": 0, "priority": 0, "turn": created, "admitted": True, "attempt": 1,
        "worker": worker, "active_micros": finished - started, "created_at": created,
        "started_at": started,
        "attempt_at": started, "finished_at": finished, "output": '{"value":42}',
    }  # fmt: skip
    yield _ATTEMPTS, {
        "execution_id": execution_id, "number": 1, "worker": worker, "started_at": started,
        "ended_at": finished, "outcome": status,
    }  # fmt: skip
    yield _STEPS, {
        "execution_id": execution_id, "step": "main", "item": -1,
        "status": "succeeded" if status == "succeeded" else "failed", "tries": 1,
        "input": '{"values":{"who":"you"}}', "output": '{"value":42}', "effect": "none",
        "started_at": started, "finished_at": finished,
    }  # fmt: skip
    if by_trigger:
        yield _OCCURRENCES, {
            "id": new_id("occ", now=lambda: created / 1e6), "trigger_id": bot.trigger_id,
            "bot_id": bot.bot_id, "key": execution_id, "scheduled_at": created,
            "evaluated_at": created, "decision": "fired", "detail": "",
            "execution_id": execution_id,
        }  # fmt: skip


def _write_kinds(kinds: dict[Insert, list[dict[str, Any]]]) -> None:
    for into, rows in kinds.items():
        usual = {field.name: value for field, value in into.row._meta.defaults.items()}
        into.write([[row.get(name, usual.get(name)) for name in into.columns] for row in rows])


def _write(door: Door, into: Insert, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), CHUNK):
        door.write_now(partial(_write_kinds, {into: list(rows[start : start + CHUNK])}))
