"""The application: declared routes, and the one guard that stands before all of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import AbstractRoute

from codex32.api import errors
from codex32.api.callers import Gatekeeper, require
from codex32.api.openapi import openapi_route
from codex32.api.operations import VARIABLE, Operation, check_operations
from codex32.api.routes.account import AccountRoutes
from codex32.api.routes.approvals import ApprovalRoutes
from codex32.api.routes.audit import AuditRoutes
from codex32.api.routes.auth import AuthRoutes
from codex32.api.routes.bots import BotRoutes
from codex32.api.routes.connections import ConnectionRoutes
from codex32.api.routes.definitions import DefinitionRoutes
from codex32.api.routes.events import EventRoutes
from codex32.api.routes.executions import ExecutionRoutes
from codex32.api.routes.health import HealthRoutes
from codex32.api.routes.hooks import HookRoutes
from codex32.api.routes.keys import KeyRoutes
from codex32.api.routes.oidc import OidcRoutes
from codex32.api.routes.patches import PatchRoutes
from codex32.api.routes.plugins import PluginRoutes
from codex32.api.routes.retries import RetryRoutes
from codex32.api.routes.schedules import ScheduleRoutes
from codex32.api.routes.secrets import SecretRoutes
from codex32.api.routes.state import StateRoutes
from codex32.api.routes.streams import StreamRoutes
from codex32.api.routes.usage import UsageRoutes
from codex32.api.routes.users import UserRoutes
from codex32.api.routes.versions import VersionRoutes
from codex32.api.routes.workspaces import WorkspaceRoutes
from codex32.api.streaming import Stopping
from codex32.kernel.caller import STRANGER, Caller
from codex32.kernel.contracts.route import PUBLIC
from codex32.kernel.errors import AccessDenied
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import dumps
from codex32.runtime import Runtime

V1 = "/api/v1"

#: Nothing the API answers is for a browser to show, to keep or to run.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "codex32",
    "X-Content-Type-Options": "nosniff",
}

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: Requests are counted under one random name a process, which is cheaper than a random id each.
_PROCESS, _COUNT = new_id("req"), itertools.count(1)


def all_operations(runtime: Runtime) -> list[Operation]:
    """Every operation of the API, those of the plugins included.

    Raises:
      PluginContractError: A declaration is wrong.
    """
    operations = list(_operations(runtime))
    operations.append(Operation(openapi_route(operations), V1, "api"))
    check_operations(operations)
    return operations


def _operations(runtime: Runtime) -> Iterator[Operation]:
    for route in HealthRoutes(runtime).routes():
        yield Operation(route, "", "api")
    for route in HookRoutes(runtime).routes():
        yield Operation(route, "", "api")
    families = (
        AuthRoutes,
        OidcRoutes,
        AccountRoutes,
        KeyRoutes,
        UserRoutes,
        WorkspaceRoutes,
        BotRoutes,
        DefinitionRoutes,
        PatchRoutes,
        VersionRoutes,
        ScheduleRoutes,
        StateRoutes,
        UsageRoutes,
        ExecutionRoutes,
        RetryRoutes,
        ApprovalRoutes,
        EventRoutes,
        SecretRoutes,
        ConnectionRoutes,
        AuditRoutes,
        StreamRoutes,
        PluginRoutes,
    )
    for family in families:
        for route in family(runtime).routes():
            yield Operation(route, V1, "api")
    for plugin, route in runtime.plugins.api_routes():
        yield Operation(route, f"{V1}/plugins/{plugin}", plugin)


def build_application(operations: Sequence[Operation], gatekeeper: Gatekeeper) -> web.Application:
    """The application that serves these operations and nothing else."""
    known: dict[AbstractRoute, Operation] = {}
    stopping = Stopping()
    app = web.Application(middlewares=[_guard(known, gatekeeper, stopping)])
    app.on_shutdown.append(stopping.tell)
    for operation in operations:
        path = re.sub(r"\{(\w+)\}", rf"{{\1:{VARIABLE}}}", operation.path)
        route = app.router.add_route(operation.route.method, path, _unguarded)
        known[route] = operation
    return app


async def _unguarded(request: web.Request) -> web.StreamResponse:
    """Stands in aiohttp's table only: without the guard nothing is served."""
    raise web.HTTPNotFound


def _guard(
    operations: Mapping[AbstractRoute, Operation], gatekeeper: Gatekeeper, stopping: Stopping
) -> Middleware:
    """Who may pass is decided by the route that was found, never by the text of its address."""

    async def admit(request: web.Request, policy: str | None) -> Caller:
        if policy == PUBLIC:
            return replace(STRANGER, address=request.remote or "")
        caller = await gatekeeper.recognise(request.headers, request.remote or "")
        if policy is not None:
            require(caller, policy)
        return caller

    async def readmit(request: web.Request, policy: str, caller: Caller) -> None:
        """Whether an answer that goes on may go on: who was admitted may be somebody else now."""
        now = await admit(request, policy)
        if (now.id, now.workspace) != (caller.id, caller.workspace):
            raise AccessDenied(policy)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _request_id(request)
        headers = {**HEADERS, "X-Request-Id": request_id}
        response: web.StreamResponse
        try:
            operation = operations.get(request.match_info.route)
            # A stranger is not even told which addresses exist.
            caller = await admit(request, operation.route.policy if operation else None)
            caller = replace(caller, request_id=request_id)
            if operation is None:
                response = await handler(request)
            else:
                again = partial(readmit, request, operation.route.policy, caller)
                response = await operation.answer(request, caller, headers, stopping, again)
        except Exception as error:
            response = problem(error, request_id)
        if not response.prepared:
            for name, value in headers.items():
                response.headers.setdefault(name, value)
        return response

    return guard


def problem(error: Exception, request_id: str) -> web.Response:
    """The answer that tells of an error."""
    known, headers = errors.told(error)
    return web.Response(
        status=errors.status_of(known),
        body=dumps(errors.document(known, request_id)).encode(),
        content_type="application/problem+json",
        headers=headers,
    )


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _SANE_ID.fullmatch(given) else f"{_PROCESS}-{next(_COUNT)}"
