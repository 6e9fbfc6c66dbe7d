"""Steps and log lines of executions as plain data, for whoever shows them."""

from __future__ import annotations

from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import NO_ITEM, LogLineRow, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.presentation import iso


def step_as_dict(row: StepRow, payloads: PayloadStore) -> dict[str, JSON]:
    """A step, or one item of it, with its values."""
    return {
        "step": row.step,
        "item": None if row.item == NO_ITEM else row.item,
        "status": row.status,
        "tries": row.tries,
        "effect": row.effect,
        "sandbox": row.sandbox,
        "input": payloads.unpack(row.execution_id, row.input),
        "output": payloads.unpack(row.execution_id, row.output),
        "error": payloads.unpack(row.execution_id, row.error),
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
    }


def line_as_dict(row: LogLineRow) -> dict[str, JSON]:
    """A log line."""
    return {
        "id": row.id,
        "step": row.step,
        "item": None if row.item == NO_ITEM else row.item,
        "at": iso(row.at),
        "level": row.level,
        "message": row.message,
        "fields": loads(row.fields) if row.fields else None,
    }
