"""Starting bots: at once, or waiting some seconds for what comes of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from codex32.api.errors import ConcurrencyFull
from codex32.api.models import ExecutionDetail, StartedOut
from codex32.api.reading import KEY, Strict, one_key
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.executions import executions
from codex32.services.executions.endings import Endings
from codex32.services.executions.starting import Start
from codex32.tracing import detail

#: Longest wait of one request; proxies rarely keep a quiet connection longer.
MAX_WAIT_SECONDS = 60.0
_PRIORITIES = Field(ge=-1000, le=1000, description="Higher runs first; default: the bot's own.")


class ExecuteIn(Strict):
    """With what a bot is to be executed."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    idempotency_key: Annotated[str, StringConstraints(pattern=KEY)] | None = Field(
        None, description="Asking again with the same key gives the execution that is there."
    )
    priority: Annotated[int, _PRIORITIES] | None = None


class StartIn(ExecuteIn):
    """Which bot is to be executed, and with what."""

    bot: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class StartQuery(Strict):
    """Whether to wait for what comes of it."""

    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = Field(
        0, description="Seconds; if it has ended by then, the answer is 200 and the execution."
    )


class StartRoutes:
    """The two routes that start bots."""

    def __init__(self, runtime: Runtime) -> None:
        self._starter, self._door = runtime.starter, runtime.door
        self._payloads, self._endings = runtime.payloads, Endings(runtime.door)
        self._settings = runtime.settings

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="POST",
                path="/bots/{name}/execute",
                operation="bots.execute",
                policy="bots.execute",
                handler=self._execute,
                summary="Start an execution; workers carry it out",
                query=StartQuery,
                body=ExecuteIn,
                response=StartedOut,
                status=202,
                also={200: ExecutionDetail},
                rate="start",
            ),
            Route(
                method="POST",
                path="/executions",
                operation="executions.start",
                policy="bots.execute",
                handler=self._start_named,
                summary="Start an execution of the bot that the body names",
                query=StartQuery,
                body=StartIn,
                response=StartedOut,
                status=202,
                also={200: ExecutionDetail},
                rate="start",
            ),
        ]

    async def _execute(self, request: ApiRequest) -> ApiResponse:
        return await self._start(request, request.path["name"])

    async def _start_named(self, request: ApiRequest) -> ApiResponse:
        return await self._start(request, request.body.bot)

    async def _start(self, request: ApiRequest, bot: str) -> ApiResponse:
        body, caller = request.body, request.caller
        submitted = await self._starter.start(
            Start(
                bot=bot,
                inputs=body.inputs,
                trigger={"kind": "manual", "caller": caller.name, "by": caller.told()},
                request_key=_key(request),
                priority=body.priority,
                workspace=caller.workspace,
            )
        )
        if submitted.id is None:
            raise ConcurrencyFull(f"{bot} runs as often as its `concurrency` allows; try later")
        url = f"/api/v1/executions/{submitted.id}"
        wait = request.query.wait
        if wait and await self._endings.ended(submitted.id, wait):
            whole = await self._door.read(self._whole, submitted.id, caller.workspace)
            return ApiResponse(whole, 200, {"Location": url})
        answer = {
            "id": submitted.id,
            "status_url": url,
            "repeated": submitted.repeated,
            "held": submitted.held,
        }
        return ApiResponse(answer, 202, {"Location": url})

    def _whole(self, execution_id: str, workspace: str) -> JSON:
        row = executions.get(execution_id, workspace=workspace)
        return detail(self._settings, self._payloads, row)


def _key(request: ApiRequest) -> str | None:
    """The request's idempotency key: no caller's are another's."""
    key = one_key(request.headers, request.body.idempotency_key)
    return None if key is None else f"{request.caller.kind}:{request.caller.id}:{key}"
