"""What shall become of executions that have ended: retries, and the list of dead letters."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from codex32.api.models import (
    DiagnosisOut,
    ExecutionDetail,
    ExecutionOut,
    Out,
    Page,
    RetriedOut,
)
from codex32.api.reading import WITHOUT_NUL, Moment, Strict
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM
from codex32.kernel.statuses import Cause
from codex32.runtime import Runtime
from codex32.services.executions import dead_letters, executions, repairing, resolving
from codex32.services.executions.retrying import Retry
from codex32.tracing import detail


class RetryIn(Strict):
    """How an execution is to be done again."""

    point: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = Field(
        None,
        alias="from",
        description="start, failed, or a step's id; default: failed where it failed or was "
        "cancelled, else start.",
    )
    definition: Literal["original", "current"] = "original"
    again: bool = Field(False, description="Make another retry where there is one already.")
    repeat_effects: bool = Field(
        False, description="Effects that were sent may be sent once more, under new keys."
    )


class DeadLettersQuery(Strict):
    """Which dead letters, newest first."""

    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    cause: Cause | None = None
    since: Moment | None = Field(None, description="Ended at this time or later.")
    cursor: Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class DismissIn(Strict):
    """Why nothing more is to be done."""

    note: Annotated[str, StringConstraints(max_length=2000, pattern=WITHOUT_NUL)] = ""


class ResolveIn(Strict):
    """What became of an effect that nobody can tell."""

    decision: Literal["sent", "not-sent", "fail"] = Field(
        description="It happened; it did not, and is done again; the step failed."
    )
    step: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = Field(
        None, description="Only this step; default: all that are unknown."
    )
    item: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="Only this item of a `foreach`."
    )
    output: JsonValue = Field(
        None, description="With `sent`: what it was answered with, for the steps after it."
    )

    @model_validator(mode="after")
    def _only_with_sent(self) -> Self:
        if self.output is not None and self.decision != "sent":
            raise ValueError("only what was sent has an output")
        return self


class RepairOut(Out):
    """A draft that would mend a bot; nothing of it is applied."""

    execution: str
    bot: str
    diagnosis: DiagnosisOut
    change: str | None = Field(description="In words; null where no rule knows what helps.")
    test: dict[str, Any] = Field(description="Made from what is recorded of the execution.")
    text: str = Field(description="The bot's YAML with the test, and with the change.")
    failed_before: bool | None = Field(
        description="The test fails on the bot as it was; null where it could not be run."
    )
    passes_after: bool | None = Field(description="All tests pass with the change, if any.")
    problems: list[str] = Field(description="Faults of the draft; its tests could not be run.")


class ResolvedStep(Out):
    """A step, or an item of it, that was decided about."""

    step: str
    item: int | None


class ResolvedOut(Out):
    """What was decided about."""

    execution: str
    decision: str
    steps: list[ResolvedStep]


class RetryRoutes:
    """The routes that look after what failed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._door = runtime, runtime.door
        # Each takes a process or two for seconds.
        self._repairing = asyncio.Lock()

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="POST",
                path="/executions/{id}/retry",
                operation="executions.retry",
                policy="executions.retry",
                handler=self._retry,
                summary="Do it again in a new execution, which keeps what succeeded",
                body=RetryIn,
                response=RetriedOut,
                status=202,
            ),
            Route(
                method="POST",
                path="/executions/{id}/repair",
                operation="executions.repair",
                policy="bots.write",
                handler=self._repair,
                summary="Draft what would mend its bot, with a test of it; changes nothing",
                response=RepairOut,
            ),
            Route(
                method="POST",
                path="/executions/{id}/resolve",
                operation="executions.resolve",
                policy="executions.resolve",
                handler=self._resolve,
                summary="Say what became of an effect that is unknown; it goes on from there",
                body=ResolveIn,
                response=ResolvedOut,
            ),
            Route(
                method="GET",
                path="/dead-letters",
                operation="dead-letters.list",
                policy="executions.read",
                handler=self._list,
                summary="What failed and was neither retried nor dismissed, newest first",
                query=DeadLettersQuery,
                response=Page[ExecutionOut],
            ),
            Route(
                method="POST",
                path="/dead-letters/{id}/dismiss",
                operation="dead-letters.dismiss",
                policy="executions.dismiss",
                handler=self._dismiss,
                summary="Take it off the list without doing it again",
                body=DismissIn,
                response=ExecutionDetail,
            ),
        ]

    async def _retry(self, request: ApiRequest) -> ApiResponse:
        body = request.body
        wish = Retry(
            request.path["id"],
            body.point,
            body.definition,
            again=body.again,
            repeat_effects=body.repeat_effects,
            by=request.caller,
            workspace=request.caller.workspace,
        )
        retried = await self._runtime.retrier.retry(wish)
        url = f"/api/v1/executions/{retried.id}"
        return ApiResponse({**retried.as_dict(), "status_url": url}, 202, {"Location": url})

    async def _repair(self, request: ApiRequest) -> JSON:
        runtime = self._runtime
        parts = runtime.payloads, runtime.definitions, runtime.reader
        look = partial(
            repairing.draft, request.path["id"], *parts, workspace=request.caller.workspace
        )
        made = await self._door.read(look)
        async with self._repairing:
            tried = await repairing.prove(made, runtime.settings.folder)
        return tried.as_dict()

    async def _resolve(self, request: ApiRequest) -> JSON:
        execution_id, body, caller = request.path["id"], request.body, request.caller
        now = self._runtime.clock.micros()

        work = partial(
            resolving.resolve,
            execution_id,
            body.decision,
            now,
            step=body.step,
            item=body.item,
            output=body.output,
            payloads=self._runtime.payloads,
            workspace=caller.workspace,
            by=caller,
        )
        rows = await self._door.write(work)
        decided = [
            {"step": row.step, "item": None if row.item == NO_ITEM else row.item} for row in rows
        ]
        return {"execution": execution_id, "decision": body.decision, "steps": decided}

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._door.read(_page, request.query, request.caller.workspace)

    async def _dismiss(self, request: ApiRequest) -> JSON:
        execution_id, note, caller = request.path["id"], request.body.note, request.caller
        now = self._runtime.clock.micros()

        def dismiss() -> JSON:
            row = dead_letters.dismiss(execution_id, caller, note, now, workspace=caller.workspace)
            return detail(self._runtime.settings, self._runtime.payloads, row)

        return await self._door.write(dismiss)


def _page(query: DeadLettersQuery, workspace: str) -> dict[str, JSON]:
    found = dead_letters.listing(
        dead_letters.Query(
            bot=query.bot,
            cause=query.cause,
            since=_micros(query.since),
            before=query.cursor,
            limit=query.limit + 1,
            workspace=workspace,
        )
    )
    shown = found[: query.limit]
    return {
        "items": [executions.as_dict(row) for row in shown],
        "next": shown[-1].id if len(found) > len(shown) else None,
    }


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)
