"""Executions: which there are, what is recorded of them, cancelling them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from codex32.api.models import ExecutionDetail, ExecutionOut, LogLineOut, Page, StepOut
from codex32.api.reading import Moment, Strict
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ExecutionRow, StepRow
from codex32.kernel.statuses import Cause, Status
from codex32.runtime import Runtime
from codex32.services.executions import executions
from codex32.services.executions.listing import Query, listing
from codex32.services.executions.telling import line_as_dict, step_as_dict
from codex32.tracing import detail


class ExecutionsQuery(Strict):
    """Which executions, in which order."""

    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    status: list[Status] = Field([], description="May be repeated.")
    cause: Cause | None = Field(None, description="Why it failed.")
    trigger: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] | None = Field(
        None, description="The kind of what started it: `cron`, `manual`, `api` …"
    )
    since: Moment | None = Field(None, description="Made at this time or later.")
    until: Moment | None = Field(None, description="Made before this time.")
    sort: Literal["-created_at", "created_at"] = Field(
        "-created_at", description="With `-` the newest first."
    )
    cursor: Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class StepsQuery(Strict):
    """Which part of the steps."""

    cursor: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,63}:-?\d{1,9}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 100


class LogsQuery(Strict):
    """Which part of the log."""

    cursor: Annotated[str, StringConstraints(pattern=r"^\d{1,18}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class ExecutionRoutes:
    """The routes below ``/executions``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._payloads = runtime.door, runtime.payloads
        self._clock, self._settings = runtime.clock, runtime.settings

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/executions",
                operation="executions.list",
                policy="executions.read",
                handler=self._list,
                summary="Executions, filtered and sorted",
                query=ExecutionsQuery,
                response=Page[ExecutionOut],
            ),
            Route(
                method="GET",
                path="/executions/{id}",
                operation="executions.read",
                policy="executions.read",
                handler=self._read,
                summary="An execution with inputs, output and error",
                response=ExecutionDetail,
            ),
            Route(
                method="GET",
                path="/executions/{id}/steps",
                operation="executions.steps",
                policy="executions.read",
                handler=self._steps,
                summary="What is recorded of its steps, by step and item",
                query=StepsQuery,
                response=Page[StepOut],
            ),
            Route(
                method="GET",
                path="/executions/{id}/logs",
                operation="executions.logs",
                policy="executions.read",
                handler=self._logs,
                summary="Its log, oldest first; `next` is never null, so that one can go on",
                query=LogsQuery,
                response=Page[LogLineOut],
            ),
            Route(
                method="POST",
                path="/executions/{id}/cancel",
                operation="executions.cancel",
                policy="executions.cancel",
                handler=self._cancel,
                summary="Cancel it: at once, or as soon as its worker hears",
                response=ExecutionOut,
                status=202,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._door.read(_list, request.query, request.caller.workspace)

    async def _read(self, request: ApiRequest) -> JSON:
        return await self._door.read(self._whole, request.path["id"], request.caller.workspace)

    def _whole(self, execution_id: str, workspace: str) -> JSON:
        row = executions.get(execution_id, workspace=workspace)
        return detail(self._settings, self._payloads, row)

    async def _steps(self, request: ApiRequest) -> JSON:
        asked = request.path["id"], request.query, request.caller.workspace
        return await self._door.read(self._step_page, *asked)

    def _step_page(self, execution_id: str, query: StepsQuery, workspace: str) -> JSON:
        executions.get(execution_id, workspace=workspace)
        rows = StepRow.select().where(StepRow.execution_id == execution_id)
        if query.cursor is not None:
            step, _, item = query.cursor.partition(":")
            later_item = (StepRow.step == step) & (StepRow.item > int(item))
            rows = rows.where((StepRow.step > step) | later_item)
        found = list(rows.order_by(StepRow.step, StepRow.item).limit(query.limit + 1))
        shown = found[: query.limit]
        more = f"{shown[-1].step}:{shown[-1].item}" if len(found) > len(shown) else None
        return {"items": [step_as_dict(row, self._payloads) for row in shown], "next": more}

    async def _logs(self, request: ApiRequest) -> JSON:
        asked = request.path["id"], request.query, request.caller.workspace
        return await self._door.read(_log_page, *asked)

    async def _cancel(self, request: ApiRequest) -> JSON:
        def cancel() -> ExecutionRow:
            now, workspace = self._clock.micros(), request.caller.workspace
            return executions.cancel(
                request.path["id"], now, workspace=workspace, by=request.caller
            )

        return executions.as_dict(await self._door.write(cancel))


def _list(query: ExecutionsQuery, workspace: str) -> dict[str, JSON]:
    asked = Query(
        bot=query.bot,
        status=query.status,
        cause=query.cause,
        trigger_kind=query.trigger,
        since=None if query.since is None else to_micros(query.since),
        until=None if query.until is None else to_micros(query.until),
        beyond=query.cursor,
        oldest_first=query.sort == "created_at",
        limit=query.limit + 1,
        workspace=workspace,
    )
    found = listing(asked)
    shown = found[: query.limit]
    return {
        "items": [executions.as_dict(row) for row in shown],
        "next": shown[-1].id if len(found) > len(shown) else None,
    }


def _log_page(execution_id: str, query: LogsQuery, workspace: str) -> dict[str, JSON]:
    executions.get(execution_id, workspace=workspace)
    cursor = query.cursor or "0"
    rows = executions.log_lines(execution_id, after=int(cursor), limit=query.limit)
    return {
        "items": [line_as_dict(row) for row in rows],
        "next": str(rows[-1].id) if rows else cursor,
    }
