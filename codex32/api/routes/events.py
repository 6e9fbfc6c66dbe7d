"""Events: publishing them, and those that were told lately."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from codex32.api.models import EventOut, Page, PublishedOut
from codex32.api.reading import KEY, Strict, one_key
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.event_names import LONGEST_NAME
from codex32.kernel.ids import ID_PATTERN, new_id
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.events import events


class EventIn(Strict):
    """What is published."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)] = Field(
        description="custom. and more, such as custom.order.paid."
    )
    data: Any = Field(None, description="Listeners see it as `trigger.event.data`.")
    idempotency_key: Annotated[str, StringConstraints(pattern=KEY)] | None = Field(
        None, description="Publishing again with the same key gives the event that is there."
    )


class EventsQuery(Strict):
    """Which events, newest first."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)] | None = Field(
        None, description="A name, or a pattern of names."
    )
    cursor: Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class EventRoutes:
    """The routes below ``/events``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock = runtime.door, runtime.clock

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/events",
                operation="events.list",
                policy="events.read",
                handler=self._list,
                summary="Events that somebody listens to, newest first",
                query=EventsQuery,
                response=Page[EventOut],
            ),
            Route(
                method="POST",
                path="/events",
                operation="events.publish",
                policy="events.publish",
                handler=self._publish,
                summary="Publish an event `custom.*`; bots that listen to it are started",
                body=EventIn,
                response=PublishedOut,
                status=202,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._door.read(_page, request.query, request.caller.workspace)

    async def _publish(self, request: ApiRequest) -> ApiResponse:
        body = request.body
        wish = events.Publish(
            body.name,
            body.data,
            self._clock.micros(),
            new_id("evt"),
            key=one_key(request.headers, body.idempotency_key),
            workspace=request.caller.workspace,
            by=request.caller,
        )
        published = await events.publish(self._door, wish)
        return ApiResponse({"id": published.id, "repeated": published.repeated}, 202)


def _page(query: EventsQuery, workspace: str) -> dict[str, JSON]:
    found = events.listing(
        pattern=query.name, before=query.cursor, limit=query.limit + 1, workspace=workspace
    )
    shown = found[: query.limit]
    return {
        "items": [events.as_dict(row) for row in shown],
        "next": shown[-1].id if len(found) > len(shown) else None,
    }
