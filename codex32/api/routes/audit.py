"""The audit log: a workspace's own entries, and for administrators of the installation all."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from codex32.api.models import Page
from codex32.api.reading import WITHOUT_NUL, Moment, Strict
from codex32.api.safe_models import AuditEntryOut, VerdictOut
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.safe import audit_chain, audit_log

_Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=WITHOUT_NUL)]
_Seq = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$")]


class AuditQuery(Strict):
    """Which entries, newest first."""

    action: _Text | None = Field(
        None, description="`noun.verb`, or `noun` for all that became of such things."
    )
    subject: _Text | None = None
    actor: _Text | None = Field(None, description="Id or name; a person did what her keys did.")
    outcome: Literal["done", "refused"] | None = None
    since: Moment | None = None
    until: Moment | None = None
    cursor: _Seq | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class AuditRoutes:
    """The routes below ``/audit`` and ``/instance/audit``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._door = runtime, runtime.door

    def routes(self) -> list[Route]:
        """The declarations."""
        listed: dict[str, Any] = {"query": AuditQuery, "response": Page[AuditEntryOut]}
        return [
            Route(
                method="GET",
                path="/audit",
                operation="audit.list",
                policy="audit.read",
                handler=self._list,
                summary="What was changed in the workspace, by whom, newest first",
                **listed,
            ),
            Route(
                method="GET",
                path="/instance/audit",
                operation="audit.list-all",
                policy="instance.audit",
                handler=self._list_all,
                summary="What was changed in all workspaces and in the installation, newest first",
                **listed,
            ),
            Route(
                method="POST",
                path="/instance/audit/verify",
                operation="audit.verify",
                policy="instance.audit",
                handler=self._verify,
                summary="Go over the whole audit log, and name the first entry that is broken",
                response=VerdictOut,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._door.read(_page, request.query, request.caller.workspace)

    async def _list_all(self, request: ApiRequest) -> JSON:
        return await self._door.read(_page, request.query, None)

    async def _verify(self, request: ApiRequest) -> JSON:
        verdict = await self._door.read(self._verdict)
        return {name: getattr(verdict, name) for name in VerdictOut.model_fields}

    def _verdict(self) -> audit_chain.Verdict:
        return audit_chain.verify(self._runtime.anchors.read())


def _page(query: AuditQuery, workspace: str | None) -> dict[str, JSON]:
    found = audit_log.listing(
        audit_log.Query(
            workspace=workspace,
            action=query.action,
            subject=query.subject,
            actor=query.actor,
            outcome=query.outcome,
            since=None if query.since is None else to_micros(query.since),
            until=None if query.until is None else to_micros(query.until),
            before=None if query.cursor is None else int(query.cursor),
            first=0 if workspace is None else audit_log.beginning(workspace),
            limit=query.limit + 1,
        )
    )
    shown = found[: query.limit]
    return {
        "items": [audit_log.as_dict(row) for row in shown],
        "next": str(shown[-1].seq) if len(found) > len(shown) else None,
    }
