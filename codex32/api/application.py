"""The application: all declared routes, mounted behind the one guard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from codex32.api.callers import Gatekeeper
from codex32.api.guard import Guard, Keeping
from codex32.api.keyed import keyed
from codex32.api.openapi import Documents
from codex32.api.operations import VARIABLE, Operation, check_operations
from codex32.api.protocol import REFUSE
from codex32.api.routes.account import AccountRoutes
from codex32.api.routes.alerts import AlertRoutes
from codex32.api.routes.approval_links import ApprovalLinkRoutes
from codex32.api.routes.approvals import ApprovalRoutes
from codex32.api.routes.audit import AuditRoutes
from codex32.api.routes.auth import AuthRoutes
from codex32.api.routes.bots import BotRoutes
from codex32.api.routes.builder import BuilderRoutes
from codex32.api.routes.bulk import BulkRoutes
from codex32.api.routes.collections import CollectionRoutes
from codex32.api.routes.connections import ConnectionRoutes
from codex32.api.routes.definitions import DefinitionRoutes
from codex32.api.routes.events import EventRoutes
from codex32.api.routes.executions import ExecutionRoutes
from codex32.api.routes.health import HealthRoutes
from codex32.api.routes.hooks import HookRoutes
from codex32.api.routes.keys import KeyRoutes
from codex32.api.routes.mcp import McpRoutes
from codex32.api.routes.metrics import MetricsRoutes
from codex32.api.routes.models import ModelRoutes
from codex32.api.routes.oidc import OidcRoutes
from codex32.api.routes.patches import PatchRoutes
from codex32.api.routes.plugins import PluginRoutes
from codex32.api.routes.retries import RetryRoutes
from codex32.api.routes.schedules import ScheduleRoutes
from codex32.api.routes.secrets import SecretRoutes
from codex32.api.routes.spending import SpendingRoutes
from codex32.api.routes.starts import StartRoutes
from codex32.api.routes.state import StateRoutes
from codex32.api.routes.streams import StreamRoutes
from codex32.api.routes.subscriptions import SubscriptionRoutes
from codex32.api.routes.usage import UsageRoutes
from codex32.api.routes.users import UserRoutes
from codex32.api.routes.versions import VersionRoutes
from codex32.api.routes.workspaces import WorkspaceRoutes
from codex32.api.streaming import Streams
from codex32.kernel.contracts.route import Route
from codex32.runtime import Runtime

V1 = "/api/v1"

#: Routes of later versions of the API, by the version: those alone that differ from the first, so
#: that whatever is not here is asked for below ``/api/v1`` as before.
VERSIONS: Mapping[str, Callable[[Runtime], Iterable[Route]]] = {}


def all_operations(runtime: Runtime) -> list[Operation]:
    """Every operation of the API, those of the plugins included.

    Raises:
      PluginContractError: A declaration is wrong.
    """
    operations = [
        keyed(each, runtime) if each.route.keyed else each for each in _operations(runtime)
    ]
    if runtime.settings.api.docs:
        documents = Documents(operations)
        operations += [Operation(route, V1, "api") for route in documents.routes()]
    check_operations(operations)
    return operations


def _operations(runtime: Runtime) -> Iterator[Operation]:
    for route in HealthRoutes(runtime).routes():
        yield Operation(route, "", "api")
    for route in MetricsRoutes(runtime).routes():
        yield Operation(route, "", "api")
    for route in HookRoutes(runtime).routes():
        yield Operation(route, "", "api")
    for route in ApprovalLinkRoutes(runtime).routes():
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
        AlertRoutes,
        StateRoutes,
        UsageRoutes,
        SpendingRoutes,
        ModelRoutes,
        StartRoutes,
        McpRoutes,
        ExecutionRoutes,
        BulkRoutes,
        RetryRoutes,
        ApprovalRoutes,
        BuilderRoutes,
        EventRoutes,
        SecretRoutes,
        CollectionRoutes,
        ConnectionRoutes,
        AuditRoutes,
        StreamRoutes,
        SubscriptionRoutes,
        PluginRoutes,
    )
    for family in families:
        for route in family(runtime).routes():
            yield Operation(route, V1, "api")
    for version, routes in VERSIONS.items():
        for route in routes(runtime):
            yield Operation(route, f"/api/{version}", "api")
    for plugin, route in runtime.plugins.api_routes():
        yield Operation(route, f"{V1}/plugins/{plugin}", plugin)


def build_application(
    operations: Sequence[Operation], gatekeeper: Gatekeeper, keeping: Keeping | None = None
) -> web.Application:
    """The application that serves these operations and nothing else."""
    known: dict[AbstractRoute, Operation] = {}
    keeping = keeping or Keeping()
    streams = Streams(keeping.streams)
    guard = Guard(known, gatekeeper, keeping, streams)
    app = web.Application(middlewares=[guard.serve])
    app[REFUSE] = guard.refuse
    app.on_shutdown.append(streams.stop)
    # The router tries those with variables one after the other: what starts bots comes first.
    for operation in sorted(operations, key=lambda each: each.route.rate != "start"):
        path = re.sub(r"\{(\w+)\}", rf"{{\1:{VARIABLE}}}", operation.path)
        for method in operation.methods:
            known[app.router.add_route(method, path, _unguarded)] = operation
    return app


async def _unguarded(request: web.Request) -> web.StreamResponse:
    """Stands in aiohttp's table only: without the guard nothing is served."""
    raise web.HTTPNotFound
