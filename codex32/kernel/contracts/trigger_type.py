"""Rules that turn a happening into an execution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from codex32.kernel.contracts.source import Source
from codex32.kernel.contracts.webhook import Webhook
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem


@dataclass(frozen=True, slots=True)
class WatchedFiles:
    """Which files, and what of them, a trigger answers.

    Attributes:
      path: The folder; a relative one is meant from the folder of the bot file.
      glob: Which files below it, relative to it: ``*`` and ``?`` stay within a folder, ``**``
        goes through all; names that begin with a dot must be written with it.
      changes: Any of ``created``, ``modified``, ``deleted``.
      settle_seconds: A file counts once its size and time have not changed for so long.
    """

    path: str
    glob: str = "*"
    changes: frozenset[str] = frozenset({"created", "modified"})
    settle_seconds: float = 1.0


class TriggerType(ABC):
    """The code behind one kind of trigger.

    A trigger answers times (:meth:`next_fire_at`), events (:meth:`event_pattern`), files
    (:meth:`watched_files`), requests (:meth:`webhook`) or whatever a :meth:`source` watches. What
    it tells is looked at by the scheduler, and by the API for requests, which do the rest: each
    happening is answered once, however many of them run.

    Attributes:
      name: The key in the bot file: ``cron``, ``every`` …
      config_schema: JSON Schema (draft 7) of what stands under that key.
      timed: Whether :meth:`next_fire_at` ever tells a time.
    """

    name: ClassVar[str]
    config_schema: ClassVar[Mapping[str, Any]]
    timed: ClassVar[bool] = True

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Faults that the schema cannot tell; paths are relative to the config."""
        return ()

    @abstractmethod
    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """The first moment later than ``after`` (aware), or None where there is none.

        Pure: the same arguments give the same answer, on every machine. Times come from the
        grid that the config describes, never from the present.
        """

    def event_pattern(self, config: JSON) -> str | None:
        """The name of the events that are answered, or a pattern; None where none are. Pure."""
        return None

    def watched_files(self, config: JSON) -> WatchedFiles | None:
        """The files whose changes are answered; None where none are. Pure."""
        return None

    def webhook(self, config: JSON) -> Webhook | None:
        """What is served to senders; None where nothing is. Pure."""
        return None

    def source(self, config: JSON) -> Source | None:
        """What is watched for news, where it is neither files nor events; None where nothing."""
        return None

    def identity(self, config: JSON) -> JSON:
        """What makes a trigger the same in another version: its past then stays with it. Pure."""
        return config
