"""When bots are due, and why they were started or not."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field, StringConstraints

from codex32.api.bot_models import DueOut, PlannedTriggers, WhyOut
from codex32.api.models import Page
from codex32.api.reading import Moment, Strict
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.triggers import agenda
from codex32.services.triggers.why import why


class SchedulesQuery(Strict):
    """Which part of the list."""

    cursor: Annotated[str, StringConstraints(pattern=r"^\d{1,18}\.trg_[0-9a-z]{26}$")] | None = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class TimesQuery(Strict):
    """Which times."""

    count: Annotated[int, Field(ge=1, le=100)] = Field(10, description="Of each trigger.")
    after: Moment | None = Field(None, description="Default: now.")


class WhyQuery(Strict):
    """Which answers."""

    at: Moment | None = Field(None, description="Only times until the end of this minute.")
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


class ScheduleRoutes:
    """``/schedules``, and the times of one bot."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/schedules",
                operation="schedules.list",
                policy="schedules.read",
                handler=self._list,
                summary="Triggers that wait for a time, the next ones first",
                query=SchedulesQuery,
                response=Page[DueOut],
            ),
            Route(
                method="GET",
                path="/bots/{name}/schedule",
                operation="schedules.times",
                policy="schedules.read",
                handler=self._times,
                summary="The triggers of a bot and their next times",
                query=TimesQuery,
                response=PlannedTriggers,
            ),
            Route(
                method="GET",
                path="/bots/{name}/why",
                operation="bots.why",
                policy="schedules.read",
                handler=self._why,
                summary="Why it was started, and why it was not",
                query=WhyQuery,
                response=WhyOut,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query = request.query
        read = partial(agenda.due, after=query.cursor, limit=query.limit)
        items, more = await self._runtime.door.read(read, request.caller.workspace)
        return {"items": items, "next": more}

    async def _times(self, request: ApiRequest) -> JSON:
        query, types = request.query, self._runtime.components.trigger_types
        after = self._runtime.clock.micros() if query.after is None else to_micros(query.after)
        read = partial(
            agenda.of_bot, workspace=request.caller.workspace, after=after, count=query.count
        )
        found = await self._runtime.door.read(read, request.path["name"], types)
        return {"items": [each.as_dict() for each in found]}

    async def _why(self, request: ApiRequest) -> JSON:
        query, types = request.query, self._runtime.components.trigger_types
        at = None if query.at is None else to_micros(query.at)
        ask = partial(why, limit=query.limit, at=at, types=types)
        found = await self._runtime.door.read(
            partial(ask, workspace=request.caller.workspace), request.path["name"]
        )
        return found.as_dict()
