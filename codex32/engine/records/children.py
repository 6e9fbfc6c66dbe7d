"""Executions that steps start: the key by which a step, or an item, finds its own again."""

from __future__ import annotations

_MARK = "child"


def child_key(parent_id: str, step: str, item: int) -> str:
    """The idempotency key of the execution that a step, or an item of it, starts."""
    return f"{_MARK}:{parent_id}:{step}:{item}"


def place_of(key: str) -> tuple[str, int] | None:
    """The step and item that started the execution whose row holds ``key``; None for no step."""
    parts = key.split(":")  # the bot's id stands before it
    return (parts[-2], int(parts[-1])) if len(parts) == 5 and parts[1] == _MARK else None
