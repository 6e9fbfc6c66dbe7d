"""Rules that turn a happening into an execution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem


class TriggerType(ABC):
    """The code behind one kind of trigger.

    Attributes:
      name: The key in the bot file: ``cron``, ``every`` …
      config_schema: JSON Schema (draft 7) of what stands under that key.
      timed: Whether :meth:`next_fire_at` ever tells a time; False: fired from outside only.
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
