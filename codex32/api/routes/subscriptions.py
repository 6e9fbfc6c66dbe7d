"""Outbound webhooks: the endpoints of a workspace, and what was sent to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from codex32.api.models import Page
from codex32.api.outbound_models import (
    DeliveryDetail,
    DeliveryOut,
    ReplayedOut,
    SecretShownOut,
    WebhookMadeOut,
    WebhookOut,
)
from codex32.api.reading import WITHOUT_NUL, Moment, Strict
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.event_names import LONGEST_NAME
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.outside.guard import PrivateHosts, surely_refused
from codex32.runtime import Runtime
from codex32.services.events import outbound_deliveries as deliveries
from codex32.services.events import outbound_endpoints as endpoints
from codex32.services.events.outbound_endpoints import (
    LONGEST_DESCRIPTION,
    LONGEST_URL,
    MOST_PATTERNS,
    Wish,
)

_T = TypeVar("_T")
_Url = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL)]
_Event = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
_Events = Annotated[list[_Event], Field(min_length=1, max_length=MOST_PATTERNS)]
_Description = Annotated[
    str, StringConstraints(max_length=LONGEST_DESCRIPTION, pattern=WITHOUT_NUL)
]
_Id = Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)]


class WebhookIn(Strict):
    """An endpoint that shall be."""

    url: _Url = Field(description="Where to, by https or http.")
    events: _Events = Field(description="Names of events, or patterns of them.")
    description: _Description = ""
    enabled: bool = True


class WebhookPatch(Strict):
    """What of an endpoint shall be other; what is left out stays."""

    url: _Url | None = None
    events: _Events | None = None
    description: _Description | None = None
    enabled: bool | None = Field(None, description="true also forgives what failed so far.")


class RotateIn(Strict):
    """How the secret is replaced."""

    keep_hours: Annotated[float, Field(ge=0, le=168)] = Field(
        24.0, description="For so long the secret before signs, too."
    )


class ReplayIn(Strict):
    """What is sent again."""

    since: Moment = Field(description="All that was given up of what was made since then.")
    until: Moment | None = Field(None, description="And before then; default: now.")
    delivered: bool = Field(False, description="Also what was delivered.")


class WebhooksQuery(Strict):
    """Which part of the list."""

    cursor: _Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class DeliveriesQuery(WebhooksQuery):
    """Which deliveries, newest first."""

    status: Literal["pending", "delivered", "failed"] | None = None


class SubscriptionRoutes:
    """The routes below ``/webhooks``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock, self._vault = runtime.door, runtime.clock, runtime.vault
        self._private = PrivateHosts.parse(runtime.settings.outside.private_hosts)

    def routes(self) -> list[Route]:
        """The declarations."""
        return [*self._endpoints(), *self._orders(), *self._deliveries()]

    def _endpoints(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/webhooks",
                operation="webhooks.list",
                policy="hooks.read",
                handler=self._list,
                summary="Outbound webhooks, in the order in which they were made",
                query=WebhooksQuery,
                response=Page[WebhookOut],
            ),
            Route(
                method="POST",
                path="/webhooks",
                operation="webhooks.create",
                keyed=True,
                policy="hooks.write",
                handler=self._create,
                summary="Have events sent to an address; the answer alone shows the secret",
                body=WebhookIn,
                response=WebhookMadeOut,
                status=201,
            ),
            Route(
                method="GET",
                path="/webhooks/{id}",
                operation="webhooks.read",
                policy="hooks.read",
                handler=self._read,
                summary="An outbound webhook, and how it does",
                response=WebhookOut,
            ),
            Route(
                method="PATCH",
                path="/webhooks/{id}",
                operation="webhooks.change",
                policy="hooks.write",
                handler=self._change,
                summary="Change it, disable it, enable it again",
                body=WebhookPatch,
                response=WebhookOut,
            ),
            Route(
                method="DELETE",
                path="/webhooks/{id}",
                operation="webhooks.delete",
                policy="hooks.write",
                handler=self._delete,
                summary="Delete it with its deliveries",
                status=204,
            ),
        ]

    def _orders(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path="/webhooks/{id}/rotate",
                operation="webhooks.rotate",
                keyed=True,
                policy="hooks.write",
                handler=self._rotate,
                summary="Another secret; the one before signs beside it for a while",
                body=RotateIn,
                response=SecretShownOut,
            ),
            Route(
                method="POST",
                path="/webhooks/{id}/test",
                operation="webhooks.test",
                keyed=True,
                policy="hooks.write",
                handler=self._test,
                summary="Send `webhook.test`, to see whether it arrives",
                response=DeliveryOut,
                status=202,
            ),
        ]

    def _deliveries(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/webhooks/{id}/deliveries",
                operation="webhooks.deliveries",
                policy="hooks.read",
                handler=self._sent,
                summary="What was sent to it, newest first",
                query=DeliveriesQuery,
                response=Page[DeliveryOut],
            ),
            Route(
                method="GET",
                path="/webhooks/{id}/deliveries/{delivery}",
                operation="webhooks.delivery",
                policy="hooks.read",
                handler=self._delivery,
                summary="A delivery with its body and its attempts",
                response=DeliveryDetail,
            ),
            Route(
                method="POST",
                path="/webhooks/{id}/deliveries/{delivery}/replay",
                operation="webhooks.replay",
                keyed=True,
                policy="hooks.write",
                handler=self._replay,
                summary="Send it again, under the same id",
                response=DeliveryOut,
                status=202,
            ),
            Route(
                method="POST",
                path="/webhooks/{id}/replay",
                operation="webhooks.replay-failed",
                keyed=True,
                policy="hooks.write",
                handler=self._replay_failed,
                summary="Send again what was given up since a time, or all",
                body=ReplayIn,
                response=ReplayedOut,
                status=202,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query = request.query
        found = await self._look(
            request, endpoints.listing, after=query.cursor, limit=query.limit + 1
        )
        return _page(found, query.limit, endpoints.as_dict)

    def _require_public(self, url: str | None) -> None:
        """Tell at once what would fail at every delivery; names are looked up only then.

        Raises:
          EndpointInvalid: It leads to a private address that the operator does not permit.
        """
        try:
            parts = urlsplit(url or "")
            port = parts.port or {"http": 80}.get(parts.scheme, 443)
        except ValueError:
            return  # which the service tells of
        if parts.hostname and surely_refused(parts.hostname, port, self._private):
            told = "it is a private address, which outside.private_hosts does not permit"
            raise endpoints.EndpointInvalid([Problem(told, "url")])

    async def _create(self, request: ApiRequest) -> ApiResponse:
        self._require_public(request.body.url)
        row, secret = await self._act(
            request, endpoints.create, self._vault, Wish(**request.body.model_dump())
        )
        return ApiResponse({**endpoints.as_dict(row), "secret": secret}, 201)

    async def _read(self, request: ApiRequest) -> JSON:
        return endpoints.as_dict(await self._look(request, endpoints.get, request.path["id"]))

    async def _change(self, request: ApiRequest) -> JSON:
        self._require_public(request.body.url)
        wish = Wish(**request.body.model_dump())
        return endpoints.as_dict(
            await self._act(request, endpoints.change, request.path["id"], wish)
        )

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        await self._act(request, endpoints.delete, request.path["id"])
        return ApiResponse(None, 204)

    async def _rotate(self, request: ApiRequest) -> JSON:
        rotate = partial(endpoints.rotate, keep_seconds=request.body.keep_hours * 3600)
        return {"secret": await self._act(request, rotate, self._vault, request.path["id"])}

    async def _test(self, request: ApiRequest) -> ApiResponse:
        row = await self._act(request, deliveries.ping, request.path["id"])
        return ApiResponse(deliveries.as_dict(row), 202)

    async def _sent(self, request: ApiRequest) -> JSON:
        query = request.query
        found = await self._look(
            request,
            deliveries.listing,
            request.path["id"],
            status=query.status,
            before=query.cursor,
            limit=query.limit + 1,
        )
        return _page(found, query.limit, deliveries.as_dict)

    async def _delivery(self, request: ApiRequest) -> JSON:
        def detail(*, workspace: str) -> JSON:
            path = request.path
            row = deliveries.get(path["id"], path["delivery"], workspace=workspace)
            return deliveries.detail(row)

        return await self._look(request, detail)

    async def _replay(self, request: ApiRequest) -> ApiResponse:
        path = request.path
        row = await self._act(request, deliveries.replay, path["id"], path["delivery"])
        return ApiResponse(deliveries.as_dict(row), 202)

    async def _replay_failed(self, request: ApiRequest) -> ApiResponse:
        body = request.body
        until = None if body.until is None else to_micros(body.until)
        wanted = deliveries.Range(to_micros(body.since), until, body.delivered)
        count = await self._act(request, deliveries.replay_range, request.path["id"], wanted)
        return ApiResponse({"deliveries": count}, 202)

    async def _look(
        self, request: ApiRequest, work: Callable[..., _T], *given: Any, **more: Any
    ) -> _T:
        """What a read gives of the caller's workspace."""
        return await self._door.read(
            partial(work, *given, workspace=request.caller.workspace, **more)
        )

    async def _act(self, request: ApiRequest, work: Callable[..., _T], *given: Any) -> _T:
        """What a write by the caller gives, now and in their workspace."""
        caller, now = request.caller, self._clock.micros()
        return await self._door.write(
            partial(work, *given, caller, now, workspace=caller.workspace)
        )


def _page(found: list[Any], limit: int, as_dict: Callable[[Any], JSON]) -> dict[str, JSON]:
    shown = found[:limit]
    return {
        "items": [as_dict(row) for row in shown],
        "next": shown[-1].id if len(found) > limit else None,
    }
