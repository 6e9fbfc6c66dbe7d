"""Versions as workers carry them out."""

from __future__ import annotations

from codex32.engine.running.plan import Plan
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.services.bots import provenance
from codex32.services.bots.definitions import Definitions


class Plans:
    """Compiled versions, kept while they are used; a version never changes.

    Args:
      door: The database.
      definitions: Versions as bots.
      components: What is installed.
      keep: Most plans that are kept.
    """

    def __init__(
        self, door: Door, definitions: Definitions, components: Components, keep: int = 1024
    ) -> None:
        self._door, self._definitions, self._components = door, definitions, components
        self._keep = keep
        self._plans: dict[str, Plan] = {}

    async def plan(self, version_id: str) -> Plan:
        """The plan of a version, compiled on a reader thread where it is not there yet."""
        found = self._plans.get(version_id)
        if found is None:
            found = await self._door.read_surely(self._compile, version_id)
            if len(self._plans) >= self._keep:
                del self._plans[next(iter(self._plans))]
            self._plans[version_id] = found
        return found

    def _compile(self, version_id: str) -> Plan:
        bot = self._definitions.bot(version_id)
        origin = provenance.origin_of(version_id, bot.document)
        return Plan.of(bot, version_id, self._components, origin)
