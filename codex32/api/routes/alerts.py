"""Alerts: how they stand, silencing them, looking after them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from codex32.api.models import Out, Page
from codex32.api.reading import WITHOUT_NUL, Strict
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.alerts import alerts

_Id = Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)]
_Note = Annotated[str, StringConstraints(max_length=500, pattern=WITHOUT_NUL)]
_State = Literal["ok", "pending", "firing"]


class AlertOut(Out):
    """An alert about a bot, and how it stands."""

    id: str
    bot: str = Field(description="Whom it looks at.")
    name: str
    said_by: str = Field(description="Whose definition says it: the bot's own, or another one.")
    kind: str = Field(description="What it looks at: `failure_rate`, `no_success_for`, …")
    limit: float | str = Field(description="A share, a number of seconds, or an event's name.")
    state: _State = Field(description="`pending`: wrong, but not for long enough yet.")
    since: datetime
    detail: str = Field(description="What was seen when its state changed last.")
    told: Literal["ok", "firing", "escalated"] = Field(description="What people were told last.")
    silenced_until: datetime | None
    silenced_by: str | None
    acknowledged_by: str | None = Field(description="Who looks after it while it fires.")
    acknowledged_at: datetime | None
    note: str
    notices: list[str] = Field(description="The executions that carried the last notices.")


class AlertsQuery(Strict):
    """Which alerts."""

    state: list[_State] = Field([], description="May be repeated; without it all.")
    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    cursor: _Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class SilenceIn(Strict):
    """For how long nobody is told."""

    seconds: Annotated[float, Field(ge=0, le=alerts.LONGEST_SILENCE_SECONDS)] = Field(
        description="0 ends a silence."
    )
    note: _Note = ""


class AcknowledgeIn(Strict):
    """What whoever looks after it has to say."""

    note: _Note = ""


class AlertRoutes:
    """The routes below ``/alerts``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock = runtime.door, runtime.clock

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/alerts",
                operation="alerts.list",
                policy="alerts.read",
                handler=self._list,
                summary="Alerts of bots, and how they stand",
                query=AlertsQuery,
                response=Page[AlertOut],
            ),
            Route(
                method="GET",
                path="/alerts/{id}",
                operation="alerts.read",
                policy="alerts.read",
                handler=self._read,
                summary="One alert",
                response=AlertOut,
            ),
            Route(
                method="POST",
                path="/alerts/{id}/silence",
                operation="alerts.silence",
                policy="alerts.write",
                handler=self._silence,
                summary="Tell nobody of it for a while",
                body=SilenceIn,
                response=AlertOut,
            ),
            Route(
                method="POST",
                path="/alerts/{id}/acknowledge",
                operation="alerts.acknowledge",
                policy="alerts.write",
                handler=self._acknowledge,
                summary="Look after it, so that it is not escalated; the first one counts",
                body=AcknowledgeIn,
                response=AlertOut,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._door.read(self._page, request.query, request.caller.workspace)

    def _page(self, query: AlertsQuery, workspace: str) -> JSON:
        wish = alerts.Query(query.state, query.bot, query.cursor, query.limit + 1, workspace)
        found, now = alerts.listing(wish), self._clock.micros()
        shown = found[: query.limit]
        return {
            "items": [alerts.as_dict(row, now) for row in shown],
            "next": shown[-1].id if len(found) > len(shown) else None,
        }

    async def _read(self, request: ApiRequest) -> JSON:
        get = partial(alerts.get, workspace=request.caller.workspace)
        row = await self._door.read(get, request.path["id"])
        return alerts.as_dict(row, self._clock.micros())

    async def _silence(self, request: ApiRequest) -> JSON:
        return await self._change(request, alerts.silence, request.body.seconds)

    async def _acknowledge(self, request: ApiRequest) -> JSON:
        return await self._change(request, alerts.acknowledge)

    async def _change(self, request: ApiRequest, change: Callable[..., Any], *given: Any) -> JSON:
        caller, now = request.caller, self._clock.micros()
        work = partial(
            change,
            request.path["id"],
            *given,
            caller,
            now,
            note=request.body.note,
            workspace=caller.workspace,
        )
        return alerts.as_dict(await self._door.write(work), now)
