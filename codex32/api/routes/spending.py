"""What models cost a workspace, and what its month will have cost."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from codex32.api.models import Out
from codex32.api.reading import Strict
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.ai import spending


class SpendingQuery(Strict):
    """What is told apart, and of which days."""

    by: Literal["bot", "model", "day"] = "bot"
    days: Annotated[int, Field(ge=1, le=400)] = Field(30, description="Back from today.")


class SpentOut(Out):
    """What one bot, model or day cost."""

    bot: str | None = Field(None, description="Empty where no bot asked; with `by=bot`.")
    model: str | None = None
    day: date | None = None
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    assumed_usd: float = Field(description="Of that a worst case: the service did not say.")


class SpendingOut(Out):
    """What models cost, the dearest first; days in their order."""

    items: list[SpentOut]


class OutlookOut(Out):
    """What a bot's month will have cost."""

    bot: str
    spent_usd: float
    expected_usd: float = Field(description="If the days that come are as those that went.")
    high_usd: float = Field(description="If they are all as dear as the dearest of those.")


class ForecastOut(Out):
    """What the month will have cost, bot by bot, the dearest first."""

    items: list[OutlookOut]


class SpendingRoutes:
    """``/spending`` and ``/spending/forecast``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/spending",
                operation="spending.list",
                policy="usage.read",
                handler=self._list,
                summary="What models cost, by bot, model or day",
                query=SpendingQuery,
                response=SpendingOut,
            ),
            Route(
                method="GET",
                path="/spending/forecast",
                operation="spending.forecast",
                policy="usage.read",
                handler=self._forecast,
                summary="What the month will have cost, bot by bot",
                response=ForecastOut,
            ),
        ]

    def _today(self) -> date:
        now = self._runtime.clock.now()
        return date.fromisoformat(self._runtime.models.caps.day(now))

    async def _list(self, request: ApiRequest) -> JSON:
        query, last = request.query, self._today()
        first = last - timedelta(days=query.days - 1)
        workspace = request.caller.workspace
        read = partial(spending.spent, query.by, first, last, workspace=workspace)
        found = await self._runtime.door.read(read)
        return {"items": [each.as_dict(query.by) for each in found]}

    async def _forecast(self, request: ApiRequest) -> JSON:
        read = partial(spending.forecast, self._today(), workspace=request.caller.workspace)
        return {"items": [each.as_dict() for each in await self._runtime.door.read(read)]}
