"""Approvals: what steps ask people, and deciding it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from codex32.api.models import ApprovalOut, Page
from codex32.api.reading import Strict
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ApprovalRow
from codex32.runtime import Runtime
from codex32.services.executions import approvals

_Id = Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)]


class ApprovalsQuery(Strict):
    """Which approvals, newest first."""

    status: list[Literal["pending", "approved", "rejected", "expired", "cancelled"]] = Field(
        [], description="May be repeated; without it all."
    )
    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    execution: _Id | None = None
    cursor: _Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class DecisionBody(Strict):
    """How somebody decides."""

    form: dict[str, Any] = Field({}, description="What is filled in, by name.")
    note: str | None = Field(None, description="Why, for people and later steps.")
    by: str | None = Field(
        None, description="Who decides, where the caller passes it on; else the caller."
    )


class ApprovalRoutes:
    """The routes below ``/approvals``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._payloads = runtime.door, runtime.payloads
        self._clock = runtime.clock

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/approvals",
                operation="approvals.list",
                policy="approvals.read",
                handler=self._list,
                summary="Approvals, newest first",
                query=ApprovalsQuery,
                response=Page[ApprovalOut],
            ),
            Route(
                method="GET",
                path="/approvals/{id}",
                operation="approvals.read",
                policy="approvals.read",
                handler=self._read,
                summary="An approval with its form and what was decided",
                response=ApprovalOut,
            ),
            Route(
                method="POST",
                path="/approvals/{id}/approve",
                operation="approvals.approve",
                policy="approvals.decide",
                handler=self._approve,
                summary="Approve; the first decision counts",
                body=DecisionBody,
                response=ApprovalOut,
            ),
            Route(
                method="POST",
                path="/approvals/{id}/reject",
                operation="approvals.reject",
                policy="approvals.decide",
                handler=self._reject,
                summary="Reject; the first decision counts",
                body=DecisionBody,
                response=ApprovalOut,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._door.read(self._page, request.query, request.caller.workspace)

    def _page(self, query: ApprovalsQuery, workspace: str) -> JSON:
        now = self._clock.micros()
        asked = approvals.Query(
            status=tuple(query.status),
            bot=query.bot,
            execution=query.execution,
            before=query.cursor,
            limit=query.limit + 1,
            workspace=workspace,
        )
        found = approvals.listing(asked, now)
        shown = found[: query.limit]
        return {
            "items": [approvals.as_dict(row, self._payloads, now) for row in shown],
            "next": shown[-1].id if len(found) > len(shown) else None,
        }

    async def _read(self, request: ApiRequest) -> JSON:
        return await self._door.read(self._one, request.path["id"], request.caller.workspace)

    def _one(self, approval_id: str, workspace: str) -> JSON:
        return self._told(approvals.get(approval_id, workspace=workspace))

    def _told(self, row: ApprovalRow) -> JSON:
        return approvals.as_dict(row, self._payloads, self._clock.micros())

    async def _approve(self, request: ApiRequest) -> JSON:
        return await self._decide(request, "approved")

    async def _reject(self, request: ApiRequest) -> JSON:
        return await self._decide(request, "rejected")

    async def _decide(self, request: ApiRequest, verdict: Literal["approved", "rejected"]) -> JSON:
        body: DecisionBody = request.body
        by = request.caller.name if body.by is None else body.by
        decision = approvals.Decision(verdict, by, body.form, body.note)
        approval_id, now = request.path["id"], self._clock.micros()
        workspace = request.caller.workspace
        work = partial(
            approvals.decide,
            approval_id,
            decision,
            now,
            self._payloads,
            workspace=workspace,
            caller=request.caller,
        )
        await self._door.write(work)
        return await self._door.read(self._one, approval_id, workspace)
