"""An entry of a former registry as a definition of today."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codex32.kernel.json_values import JSON, is_json
from codex32.services.former.entries import Entry, holds_secret, looks_secret

#: Keys of an entry that are understood; all others stand in the report.
KNOWN = frozenset(
    {"name", "description", "path", "file", "schedule", "cron", "enabled", "owner", "created_at"}
    | {"config", "inputs", "labels"}
)
#: What is added to code whose function is called otherwise; the code before it is as it was.
ADAPTER = "\n\n# Added when this bot was taken over: its function is called `run`.\nmain = run\n"
_MAIN = re.compile(r"^(?:async\s+)?def\s+main\b|^main\s*[:=]|\bimport\b.*\bmain\b", re.MULTILINE)
_RUN = re.compile(r"^(?:async\s+)?def\s+run\b", re.MULTILINE)
_INPUT = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DURATION = re.compile(r"\d+(ms|s|m|h|d)")
_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def translated(entry: Entry) -> dict[str, JSON]:
    """The definition of an entry that has its code; notes are added to the entry.

    Raises:
      ValueError: Something it says cannot be taken over; the message says what.
    """
    said = entry.said
    document: dict[str, JSON] = {"name": entry.name}
    if description := said.get("description"):
        document["description"] = _text(description, "description")
    if labels := said.get("labels"):
        document["labels"] = {str(k): str(v) for k, v in _mapping(labels, "labels").items()}
    if said.get("enabled", True) is not True:
        document["enabled"] = False
    if triggers := _triggers(said):
        document["triggers"] = triggers
    work: dict[str, JSON] = {"code": _callable(entry)}
    if inputs := _inputs(entry):
        document["inputs"] = inputs
        work["args"] = {name: f"${{{{ inputs.{name} }}}}" for name in inputs}
        entry.notes.append(f"main is called with {', '.join(inputs)}")
    return {**document, "type": "python", "with": work}


def left_over(entry: Entry) -> dict[str, JSON]:
    """What the registry says beyond what is understood, for the report."""
    return {
        key: "********" if looks_secret(key) or holds_secret(value) else value
        for key, value in entry.said.items()
        if key not in KNOWN
    }


def _callable(entry: Entry) -> str:
    code = entry.code or ""
    if holds_secret(code):
        entry.notes.append("its code holds what looks like a secret; keep it with codex32 secrets")
    if _MAIN.search(code) or not _RUN.search(code):
        return code
    entry.notes.append("its function is called run; `main = run` was added")
    return code + ADAPTER


def _triggers(said: Mapping[str, Any]) -> list[JSON]:
    """``schedule`` or ``cron``: a text, or an object with ``cron`` or ``every``."""
    told = said.get("schedule") or said.get("cron")
    if not told:
        return []
    if isinstance(told, Mapping):
        kind = next((each for each in ("cron", "every") if each in told), None)
        rest = set(told) - {"cron", "every", "timezone", "enabled"}
        if kind is None or rest:
            raise ValueError("its schedule is not understood; write cron, every and timezone")
        zone = {"timezone": told["timezone"]} if told.get("timezone") else {}
        off = {"enabled": False} if told.get("enabled", True) is not True else {}
        return [{kind: told[kind], **zone, **off}]
    text = _text(told, "schedule").strip()
    every = text.removeprefix("every").strip() if text.startswith("every") else text
    return [{"every": every}] if _DURATION.fullmatch(every) else [{"cron": text}]


def _inputs(entry: Entry) -> dict[str, JSON]:
    """``config`` and ``inputs``: values that main was given become defaults, which are data."""
    declared: dict[str, JSON] = {}
    for key in ("config", "inputs"):
        for name, value in _mapping(entry.said.get(key) or {}, key).items():
            if not _INPUT.fullmatch(name):
                raise ValueError(f"{key}.{name[:64]} is no name of an input: a to z, digits and _")
            if not is_json(value):
                raise ValueError(f"{key}.{name} is no JSON")
            kind = _TYPES.get(type(value))
            declared[name] = {"type": kind} if kind else {}
            secret = looks_secret(name) and isinstance(value, str) and value
            if secret or holds_secret(value):
                told = "looks like a secret and was left out; keep it with codex32 secrets"
                entry.notes.append(f"{key}.{name} {told}")
            else:
                declared[name]["default"] = value
    return declared


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"its {key} is no text")
    return value


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"its {key} is no object")
    return value
