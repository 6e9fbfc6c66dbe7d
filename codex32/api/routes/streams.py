"""Live streams: what happens to executions, and the events of a workspace, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, RootModel, StringConstraints

from codex32.api.models import LogLineOut, Out
from codex32.api.reading import Strict
from codex32.kernel.contracts.route import (
    ApiRequest,
    ApiResponse,
    EventStream,
    Route,
    ServerSentEvent,
)
from codex32.kernel.errors import EventInvalid, ExecutionNotFound
from codex32.kernel.event_names import LONGEST_NAME, pattern_fault
from codex32.kernel.models import ExecutionRow
from codex32.kernel.statuses import Cause, Status, StepStatus
from codex32.runtime import Runtime
from codex32.services.events.feed_events import Filter
from codex32.services.events.feed_mailbox import Telling
from codex32.services.events.feeds import Feeds

_RESUME = (
    "Events have an `id`: send the last one as the header `Last-Event-ID`, or as the query's "
    "`after`, to go on behind it. `gap` says that something may be missing or comes again, `cut` "
    "that you take too slowly what is told."
)


class StreamQuery(Strict):
    """From where on."""

    after: Annotated[str, StringConstraints(max_length=64)] = Field(
        "", description="As the header `Last-Event-ID`, for clients that cannot send one."
    )


class StatusQuery(StreamQuery):
    """Whose changes."""

    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = Field(
        None, description="Only executions of this bot."
    )


class EventStreamQuery(StreamQuery):
    """Which events."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)] = Field(
        "*", description="A name, or a pattern of names."
    )


class NoticeOut(Out):
    """Of `ready`, `gap` and `cut`: what the stream says of itself."""

    message: str


class StatusOut(Out):
    """Of `status`: a change of an execution's status."""

    execution: str
    bot: str
    status: Status
    at: datetime
    cause: Cause | None
    message: str


class AttemptStatusOut(StatusOut):
    """Of `status` in the stream of one execution."""

    attempt: int


class StepNewsOut(Out):
    """Of `step`: how a step, or an item of it, stands; a finished one is told once."""

    step: str
    item: int | None
    status: StepStatus
    tries: int
    error: Any = Field(description="Null also where it is long; the steps of the execution tell.")
    started_at: datetime | None
    finished_at: datetime | None


class HappenedOut(Out):
    """Of `event`."""

    id: str
    name: str
    at: datetime
    data: Any
    chain: list[str]


class ExecutionNewsOut(RootModel[AttemptStatusOut | StepNewsOut | LogLineOut | NoticeOut]):
    """The data of an event in the stream of one execution."""


class StatusNewsOut(RootModel[StatusOut | NoticeOut]):
    """The data of an event in the stream of a workspace's executions."""


class EventNewsOut(RootModel[HappenedOut | NoticeOut]):
    """The data of an event in the stream of a workspace's events."""


class StreamRoutes:
    """The routes that go on."""

    def __init__(self, runtime: Runtime) -> None:
        self._door = runtime.door
        self._feeds = Feeds(runtime.door, runtime.clock)

    def routes(self) -> list[Route]:
        """The declarations."""
        common: dict[str, Any] = {"method": "GET", "content_type": "text/event-stream"}
        return [
            Route(
                path="/executions/stream",
                operation="executions.follow",
                policy="executions.read",
                handler=self._statuses,
                summary="Changes of executions' statuses as they come (server-sent events)",
                description=f"Events `status`; `ready` once none is missed. {_RESUME}",
                query=StatusQuery,
                response=StatusNewsOut,
                **common,
            ),
            Route(
                path="/executions/{id}/stream",
                operation="executions.stream",
                policy="executions.read",
                handler=self._execution,
                summary="What happens to it, from its beginning to its end (server-sent events)",
                description=f"Events `status`, `step`, `log`; the final status ends it. {_RESUME}",
                query=StreamQuery,
                response=ExecutionNewsOut,
                **common,
            ),
            Route(
                path="/events/stream",
                operation="events.stream",
                policy="events.read",
                handler=self._events,
                summary="The workspace's events as they come (server-sent events)",
                description=f"Events `event`; `ready` once none is missed. {_RESUME}",
                query=EventStreamQuery,
                response=EventNewsOut,
                **common,
            ),
        ]

    async def _execution(self, request: ApiRequest) -> ApiResponse:
        row = await self._door.read(_find, request.path["id"], request.caller.workspace)
        return _answer(self._feeds.execution(row, _after(request)))

    async def _statuses(self, request: ApiRequest) -> ApiResponse:
        wanted = Filter(
            request.caller.workspace, "execution.*", request.query.bot or "", statuses=True
        )
        return _answer(self._feeds.events(wanted, _after(request)))

    async def _events(self, request: ApiRequest) -> ApiResponse:
        if fault := pattern_fault(request.query.name):
            raise EventInvalid(fault)
        wanted = Filter(request.caller.workspace, request.query.name)
        return _answer(self._feeds.events(wanted, _after(request)))


def _find(execution_id: str, workspace: str) -> str:
    this = (ExecutionRow.id == execution_id) & (ExecutionRow.workspace == workspace)
    if not ExecutionRow.select().where(this).exists():
        raise ExecutionNotFound(execution_id)
    return execution_id


def _after(request: ApiRequest) -> str:
    return request.headers.get("Last-Event-ID", "")[:64] or str(request.query.after)


def _answer(told: Telling) -> ApiResponse:
    return ApiResponse(EventStream(_sent(told)))


async def _sent(
    stream: Telling,
) -> AsyncIterator[Sequence[ServerSentEvent]]:
    async with aclosing(stream):
        async for several in stream:
            yield [ServerSentEvent(told.data, told.kind, told.id) for told in several]
