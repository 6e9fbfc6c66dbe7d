"""How much bots are used."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from codex32.api.bot_models import DayOut
from codex32.api.errors import RequestInvalid
from codex32.api.models import Page
from codex32.api.reading import Strict
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.runtime import Runtime
from codex32.services.bots import bots, usage

_DEFAULT_DAYS = 30


def _sane(day: date) -> date:
    if not 1970 <= day.year <= 9998:
        raise ValueError("there are days from 1970 on")
    return day


class UsageQuery(Strict):
    """Which days."""

    first: Annotated[date, AfterValidator(_sane)] | None = Field(
        None, alias="from", description="Default: 30 days before `to`."
    )
    last: Annotated[date, AfterValidator(_sane)] | None = Field(
        None, alias="to", description="Default: today, in UTC."
    )
    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    cursor: (
        Annotated[
            str,
            StringConstraints(
                pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\.[a-z0-9_]{1,64}$"
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class UsageRoutes:
    """The route ``/usage``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/usage",
                operation="usage.list",
                policy="usage.read",
                handler=self._list,
                summary="Executions by day and bot, the newest day first",
                description="Of executions that are still kept; `retention` lets old ones go.",
                query=UsageQuery,
                response=Page[DayOut],
            )
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query, workspace = request.query, request.caller.workspace
        last = query.last or self._runtime.clock.now().date()
        first = query.first or last - timedelta(days=_DEFAULT_DAYS)
        if not 0 <= (last - first).days < usage.MOST_DAYS:
            message = f"`from` comes before `to`, by less than {usage.MOST_DAYS} days"
            raise RequestInvalid([Problem(message, "from")])
        bot_id = None
        if query.bot is not None:
            get = partial(bots.get, workspace=workspace)
            bot_id = (await self._runtime.door.read(get, query.bot)).id
        read = partial(usage.by_day, bot_id=bot_id, after=query.cursor, limit=query.limit)
        try:
            days, more = await self._runtime.door.read(read, workspace, first, last)
        except ValueError:
            raise RequestInvalid([Problem("it names no day", "cursor")]) from None
        return {"items": [each.as_dict() for each in days], "next": more}
