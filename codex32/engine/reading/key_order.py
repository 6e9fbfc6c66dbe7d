"""The usual order of keys in bot files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from codex32.engine.reading.building import WORK_KEYS
from codex32.engine.reading.schema import TRIGGER_KEYS

#: The place of a key among others.
Rank = Callable[[str], int]

_BOT: Final = (
    *("name", "description", "labels", "enabled", "triggers", "inputs", "allow", "concurrency"),
    *("rate", "priority", "timeout", "retry", "steps", *WORK_KEYS, "on_failure", "finally"),
    *("output", "tests", "evals", "alerts", "retention"),
)
_STEP: Final = (
    *("id", "type", "needs", "if", "foreach", "parallel", "on_item_error", "with", "retry"),
    *("timeout", "on_error", "rate", "repeat", "idempotency_key"),
)
SECTIONS: Final = ("triggers", "steps", "on_failure", "finally")


def rank_of(section: str | None) -> Rank:
    """The place of a key in a bot (None), or in an item of one of its sections."""
    if section == "triggers":
        after = {key: index for index, key in enumerate(TRIGGER_KEYS)}
        return lambda key: after.get(key, -1)
    known = {key: index for index, key in enumerate(_STEP if section else _BOT)}
    return lambda key: known.get(key, len(known))
