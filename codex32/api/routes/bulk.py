"""The same for many executions: by their ids, or by what they have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from codex32.api.models import Out
from codex32.api.reading import WITHOUT_NUL, Moment, Strict
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.errors import ExecutionNotFound
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.json_values import JSON
from codex32.kernel.statuses import Cause, Status
from codex32.runtime import Runtime
from codex32.services.executions import executions
from codex32.services.executions.bulk import MOST, Bulk, Done
from codex32.services.executions.listing import Query, listing

_WHOLE = "Where an id is none of the workspace's, the whole request is refused, and nothing done."
#: What is meant by a filter that tells no status: asked again it must come to an end.
_OPEN = [status for status in Status if not status.final]
_FAILED = [Status.FAILED]
_Id = Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)]


class Chosen(Strict):
    """What executions have in common."""

    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    status: list[Annotated[Status, Field(strict=False)]] = Field(
        [], description="Any of them. By default, to cancel: not ended; else: failed."
    )
    cause: Annotated[Cause, Field(strict=False)] | None = None
    trigger: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] | None = None
    since: Moment | None = Field(None, description="Made at this time or later.")
    until: Moment | None = Field(None, description="Made before this time.")


class BulkIn(Strict):
    """Which executions: by their ids, or by a filter."""

    ids: Annotated[list[_Id], Field(max_length=MOST)] | None = None
    filter: Chosen | None = Field(None, description=f"The newest {MOST} that it fits.")
    dry_run: bool = Field(False, description="Only tell what would be done.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) is (self.filter is None):
            raise ValueError("name either `ids` or a `filter`")
        return self


class RetryManyIn(BulkIn):
    """Which executions are to be done again."""

    repeat_effects: bool = Field(False, description="Effects that were sent may be sent again.")


class DismissManyIn(BulkIn):
    """Which executions need nothing more."""

    note: Annotated[str, StringConstraints(max_length=2000, pattern=WITHOUT_NUL)] = ""


class DoneOut(Out):
    """What became of one of them."""

    id: str
    done: bool
    retry: str | None = Field(description="The execution that does it again.")
    code: str | None = Field(description="Of the problem that it would be alone.")
    message: str | None


class BulkOut(Out):
    """What became of all of them."""

    dry_run: bool
    done: int
    refused: int
    more: bool = Field(description="There are more that the filter fits; ask again.")
    items: list[DoneOut]


class BulkRoutes:
    """The routes that do something to many executions."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        common: dict[str, Any] = {"method": "POST", "response": BulkOut}
        return [
            Route(
                path="/executions/bulk/cancel",
                operation="executions.bulk.cancel",
                policy="executions.cancel",
                handler=self._cancel,
                summary="Cancel many, each as if it were alone",
                body=BulkIn,
                description=_WHOLE,
                **common,
            ),
            Route(
                path="/executions/bulk/retry",
                operation="executions.bulk.retry",
                policy="executions.retry",
                handler=self._retry,
                summary="Do many again, each as if it were alone",
                body=RetryManyIn,
                description=_WHOLE,
                **common,
            ),
            Route(
                path="/dead-letters/bulk/dismiss",
                operation="dead-letters.bulk.dismiss",
                policy="executions.dismiss",
                handler=self._dismiss,
                summary="Take many off the list, each as if it were alone",
                body=DismissManyIn,
                description=_WHOLE,
                **common,
            ),
        ]

    async def _cancel(self, request: ApiRequest) -> JSON:
        return await self._all(request, _OPEN, lambda bulk, ids: bulk.cancel(ids))

    async def _retry(self, request: ApiRequest) -> JSON:
        retrier, again = self._runtime.retrier, request.body.repeat_effects
        return await self._all(
            request, _FAILED, lambda bulk, ids: bulk.retry(retrier, ids, repeat_effects=again)
        )

    async def _dismiss(self, request: ApiRequest) -> JSON:
        note = request.body.note
        return await self._all(request, _FAILED, lambda bulk, ids: bulk.dismiss(ids, note))

    async def _all(
        self,
        request: ApiRequest,
        usual: Sequence[Status],
        work: Callable[[Bulk, Sequence[str]], Awaitable[list[Done]]],
    ) -> JSON:
        body: BulkIn = request.body
        door, now = self._runtime.door, self._runtime.clock.micros()
        if body.ids is not None:
            ids, more = list(dict.fromkeys(body.ids)), False
            await door.read(_require_all, ids, request.caller.workspace)
        else:
            found = await door.read(_chosen, body.filter, usual, request.caller.workspace)
            ids, more = found[:MOST], len(found) > MOST
        done = await work(Bulk(door, request.caller, now, body.dry_run), ids)
        refused = sum(each.fault is not None for each in done)
        return {
            "dry_run": body.dry_run,
            "done": len(done) - refused,
            "refused": refused,
            "more": more,
            "items": [each.as_dict() for each in done],
        }


def _require_all(ids: Sequence[str], workspace: str) -> None:
    """Refuse all where one is not there, or not here: before anything is done to any.

    Raises:
      ExecutionNotFound: Names the first.
    """
    known = {row.id for row in executions.get_many(ids, workspace=workspace)}
    for each in ids:
        if each not in known:
            raise ExecutionNotFound(each)


def _chosen(wanted: Chosen, usual: Sequence[Status], workspace: str) -> list[str]:
    query = Query(
        bot=wanted.bot,
        status=wanted.status or usual,
        cause=wanted.cause,
        trigger_kind=wanted.trigger,
        since=None if wanted.since is None else to_micros(wanted.since),
        until=None if wanted.until is None else to_micros(wanted.until),
        limit=MOST + 1,
        workspace=workspace,
    )
    return [row.id for row in listing(query)]
