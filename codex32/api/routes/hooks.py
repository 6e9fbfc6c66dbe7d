"""Webhooks that come in: open to strangers, who prove who they are in their own ways."""

from __future__ import annotations

from functools import partial

from codex32.api.errors import (
    BodyMalformed,
    BodyTooLarge,
    DeliveryInvalid,
    NotNow,
    ResultFailed,
)
from codex32.api.operations import METHODS
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.kernel.contracts.webhook import LARGEST_BODY, WebhookRequest
from codex32.kernel.errors import ProviderUnavailable
from codex32.kernel.json_values import JSON
from codex32.kernel.statuses import Status
from codex32.runtime import Runtime
from codex32.services.executions import executions
from codex32.services.executions.endings import Endings
from codex32.services.triggers.webhooks import Delivered, Greeting, Receiver

_TEXT = "text/plain; charset=utf-8"
_DESCRIPTION = (
    "Any body and content type. A wrong path, a wrong method and a sender that does not prove who "
    "it is get the same 401. Depending on the webhook's `reply` the answer is 204, 202 with "
    "`decision`, `execution` and `status_url`, or 200 with what the execution made; a delivery "
    "that came before gets 200 with the first execution."
)


class HookRoutes:
    """The routes below ``/hooks``, one a method."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._payloads = runtime.door, runtime.payloads
        self._receiver = Receiver(
            runtime.door,
            runtime.components.trigger_types,
            runtime.definitions,
            runtime.payloads,
            runtime.secrets.secret,
            runtime.clock,
        )
        self._endings = Endings(runtime.door)

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method=method,
                path="/hooks/{workspace}/{path}",
                operation=f"deliveries.{method.lower()}",
                policy=PUBLIC,
                handler=partial(self._receive, method),
                summary="Deliver to the webhook of a bot",
                description=_DESCRIPTION,
                raw=True,
                max_bytes=LARGEST_BODY,
                status=202,
                rate="start",
            )
            for method in METHODS
        ]

    async def _receive(self, method: str, request: ApiRequest) -> ApiResponse:
        headers: dict[str, str] = {}
        repeated: set[str] = set()
        for name, value in request.headers.items():
            name = name.lower()
            if name in headers:
                repeated.add(name)
                value = f"{headers[name]}, {value}"
            headers[name] = value
        sent = WebhookRequest(
            method, request.path["path"], headers, request.query, request.body, frozenset(repeated)
        )
        try:
            told = await self._receiver.receive(request.path["workspace"], sent)
        except ProviderUnavailable:
            raise NotNow("a store of secrets does not answer; deliver it again later") from None
        if isinstance(told, Greeting):
            return ApiResponse(told.text.encode(), content_type=_TEXT)
        _refuse(told)
        match told.hook.webhook.reply:
            case "none":
                return ApiResponse(status=204)
            case "result" if told.execution_id is not None:
                return await self._result(told, told.execution_id)
        return _accepted(told)

    async def _result(self, told: Delivered, execution_id: str) -> ApiResponse:
        if not await self._endings.ended(execution_id, told.hook.webhook.reply_seconds):
            return _accepted(told)
        workspace = told.hook.due.workspace
        status, output = await self._door.read(self._output, execution_id, workspace)
        if status in (Status.FAILED, Status.CANCELLED):
            raise ResultFailed(f"the execution {execution_id} is {status}")
        if isinstance(output, str):
            return ApiResponse(output.encode(errors="replace"), content_type=_TEXT)
        return ApiResponse(output)

    def _output(self, execution_id: str, workspace: str) -> tuple[str, JSON]:
        row = executions.get(execution_id, workspace=workspace)
        return row.status, self._payloads.unpack(row.id, row.output)


def _refuse(told: Delivered) -> None:
    """Tell the sender what it can do about a delivery that started nothing.

    What the bot's expressions and inputs have to object to is for the people of its workspace.
    """
    match told.fault:
        case "unreadable":
            raise BodyMalformed(told.detail)
        case "too-large":
            raise BodyTooLarge(f"this webhook takes at most {told.hook.webhook.max_bytes} bytes")
    if told.decision == "invalid":
        raise DeliveryInvalid("the bot cannot take this delivery; `codex32 why` tells its people")
    if told.decision == "paused":
        raise NotNow("the bot is paused; deliver it again later")
    if told.decision == "concurrency" and not told.dropped:
        raise NotNow("as many executions of the bot wait as may; deliver it again later")


def _accepted(told: Delivered) -> ApiResponse:
    url = told.execution_id and f"/api/v1/executions/{told.execution_id}"
    answer = {"decision": told.decision, "execution": told.execution_id, "status_url": url}
    new = told.decision == "fired"
    return ApiResponse(answer, 202 if new else 200, {"Location": url} if url else {})
