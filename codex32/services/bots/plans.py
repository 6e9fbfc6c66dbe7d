"""Versions as workers carry them out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from codex32.engine.running.plan import Plan
from codex32.kernel.bot import Bot
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.errors import VersionNotFound
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
        #: Versions that the next reading is about, and that reading.
        self._asked: set[str] = set()
        self._reading: asyncio.Task[Mapping[str, Plan | Exception]] | None = None

    async def plan(self, version_id: str) -> Plan:
        """The plan of a version, compiled on a reader thread where it is not there yet.

        Versions that are asked for in the same turn of the event loop are read together: at eight
        o'clock they may be thousands, each for the first time.

        Raises:
          VersionNotFound: No version has this id.
          BotInvalid: What it needs is no longer installed.
        """
        found: Plan | Exception | None = self._plans.get(version_id)
        if found is None:
            self._asked.add(version_id)
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            found = (await asyncio.shield(self._reading))[version_id]
        if isinstance(found, Exception):
            raise found
        return found

    async def _read(self) -> Mapping[str, Plan | Exception]:
        asked, self._asked, self._reading = self._asked, set(), None
        made = await self._door.read_surely(self._compile, asked)
        for version_id, plan in made.items():
            if isinstance(plan, Plan):
                self._keep_plan(version_id, plan)
        return made

    def _keep_plan(self, version_id: str, plan: Plan) -> None:
        if len(self._plans) >= self._keep:
            del self._plans[next(iter(self._plans))]
        self._plans[version_id] = plan

    def _compile(self, version_ids: Iterable[str]) -> Mapping[str, Plan | Exception]:
        found = self._definitions.bots(version_ids)
        bots = {key: each for key, each in found.items() if isinstance(each, Bot)}
        origins = provenance.origins_of({key: bot.document for key, bot in bots.items()})
        made: dict[str, Plan | Exception] = {
            key: VersionNotFound(key) if isinstance(each, Bot) else each
            for key, each in found.items()
        }
        for key, origin in origins.items():
            try:
                made[key] = Plan.of(bots[key], key, self._components, origin)
            except Exception as error:  # of one bot alone, whatever a plugin did
                made[key] = error
        return made
