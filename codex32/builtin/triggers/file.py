"""Files that come, change or go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from codex32 import JSON, Problem, TriggerType, WatchedFiles, parse_duration

_CHANGES = ("created", "modified", "deleted")
_LONGEST_SETTLE_SECONDS = 3600.0


class FileTrigger(TriggerType):
    """Answers changes of files in a folder, once writing has stopped."""

    name: ClassVar[str] = "file"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "description": "The folder, which files in it, and which changes of theirs.",
        "required": ["path"],
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "description": "The folder, from the bot file's own or absolute; allow.files "
                "must name it.",
            },
            "glob": {
                "type": "string",
                "minLength": 1,
                "default": "*",
                "description": "Which files in it: * and ? stay within a folder, ** does not.",
                "examples": ["*.csv", "**/*.pdf"],
            },
            "changes": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"enum": list(_CHANGES)},
                "default": ["created", "modified"],
                "description": "What is answered.",
            },
            "settle": {
                "type": "string",
                "format": "duration",
                "default": "1s",
                "description": "Size and time must not have changed for so long.",
            },
        },
    }
    timed: ClassVar[bool] = False

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Globs that lead out of the folder, and times of settling that are too long."""
        faults = []
        glob = config.get("glob", "*")
        if glob.startswith("/") or ".." in glob.split("/"):
            message = f"{glob!r} must stay below the folder; name the folder in path"
            faults.append(Problem(message, path="glob", code="glob"))
        try:
            settle = parse_duration(config.get("settle", "1s"))
        except ValueError as error:
            return [*faults, Problem(str(error), path="settle", code="duration")]
        if settle > _LONGEST_SETTLE_SECONDS:
            message = f"{config['settle']!r} is too long; write at most 1h"
            faults.append(Problem(message, path="settle", code="duration"))
        return faults

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """Never: it has no times."""
        return None

    def watched_files(self, config: JSON) -> WatchedFiles | None:
        """The folder, and which files in it."""
        return WatchedFiles(
            path=config["path"],
            glob=config.get("glob", "*"),
            changes=frozenset(config.get("changes", ("created", "modified"))),
            settle_seconds=parse_duration(config.get("settle", "1s")),
        )
