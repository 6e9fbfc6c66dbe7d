"""Executions that steps start: the key by which a step, or an item, finds its own again."""

from __future__ import annotations

_MARK = "child"


def child_key(parent_id: str, step: str, item: int, which: str = "") -> str:
    """The idempotency key of the execution that a step, or an item of it, starts.

    ``which`` tells apart those of a step that starts several; it holds no colon.
    """
    return f"{_MARK}:{parent_id}:{step}:{item}" + (f".{which}" if which else "")


def place_of(key: str) -> tuple[str, int] | None:
    """The step and item that started the execution whose row holds ``key``; None for no step."""
    parts = key.split(":")  # the bot's id stands before it
    if len(parts) != 5 or parts[1] != _MARK:
        return None
    return parts[-2], int(parts[-1].partition(".")[0])
