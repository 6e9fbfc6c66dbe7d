"""What a bot may do beyond its own walls, and which of its parts want it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codex32.kernel.bot import ALLOWED_LISTS, Bot
from codex32.kernel.json_values import JSON, dumps
from codex32.services.explaining.recipients import mappings_in, parts_of, recipients_of

#: Steps that use what is the whole workspace's and that ``allow`` does not bound: by their type
#: the kinds, each with the parameter that names it.
_SHARED = {
    "event": {"events": "name"},
    "index": {"collections": "collection", "embedders": "embedder", "stores": "store"},
    "retrieve": {"collections": "collection"},
    "answer": {"collections": "collection"},
}
_LIMITS = ("memory_bytes", "cpu_seconds", "processes", "disk_bytes")


@dataclass(frozen=True, slots=True)
class Want:
    """One capability.

    Attributes:
      kind: The key of ``allow``: ``hosts``, ``spend_usd.day`` …; ``recipients`` for who is told,
        ``events`` for what it publishes, which starts whatever bots listen, ``collections`` for
        those that it reads or changes, with ``embedders`` and ``stores`` that are told of what it
        indexes, ``open`` for where everybody may start it.
      name: The entry, or the limit.
      used_by: Ids of steps, and ``triggers.N``, whose text names it; empty where only running
        would tell, as for what an expression makes.
    """

    kind: str
    name: str
    used_by: Sequence[str] = ()

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {"kind": self.kind, "name": self.name, "used_by": list(self.used_by)}


def wants_of(bot: Bot) -> list[Want]:
    """All of ``allow``, as the reference has it; who is told, what is shared, who may start it."""
    return list(_wants(bot))


def _wants(bot: Bot) -> Iterator[Want]:
    parts = [(part, dumps(value)) for part, value in parts_of(bot.document)]
    for kind in ALLOWED_LISTS:
        for entry in getattr(bot.allow, kind):
            name = entry if isinstance(entry, str) else dumps(entry)
            sought = name.partition(":")[0] if kind == "hosts" else name
            yield Want(kind, name, [part for part, text in parts if sought in text])
    for span, most in bot.allow.spend_usd.items():
        yield Want(f"spend_usd.{span}", f"{f'{most:.9f}'.rstrip('0').rstrip('.')} USD")
    for limit in _LIMITS:
        if (value := getattr(bot.allow, limit)) is not None:
            yield Want(limit.partition("_")[0], f"{value:g}")
    told: dict[str, list[str]] = {}
    for each in recipients_of(bot):
        told.setdefault(str(each), []).append(each.part)
    for name, used_by in told.items():
        yield Want("recipients", name, used_by)
    shared: dict[tuple[str, str], list[str]] = {}
    for part, value in parts_of(bot.document):
        for use in dict.fromkeys(use for each in mappings_in(value) for use in _shared(each)):
            shared.setdefault(use, []).append(part)
    for (kind, name), used_by in shared.items():
        yield Want(kind, name, used_by)
    for index, trigger in enumerate(bot.triggers):
        config = trigger.config
        if trigger.kind == "webhook" and isinstance(config, Mapping) and _is_open(config):
            yield Want("open", f"anybody at /hooks/…/{config['path']}", [f"triggers.{index}"])


def _shared(value: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """What a step or a tool uses of the workspace."""
    given = value.get("with")
    if isinstance(given, Mapping) and isinstance(kind := value.get("type"), str):
        for about, key in _SHARED.get(kind, {}).items():
            if key in given:
                changed = kind == "index" and about == "collections"
                yield about, f"{given[key]}{' (changed)' if changed else ''}"


def _is_open(webhook: Mapping[str, Any]) -> bool:
    return bool(webhook["auth"]["scheme"] == "none")
