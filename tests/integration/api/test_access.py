"""Nobody gets in where the declaration does not let him in."""

import itertools

import pytest
from pydantic import BaseModel

from codex32 import AccessDenied, ApiResponse, Route
from codex32.api.application import all_operations, build_application
from codex32.api.callers import Caller, Gatekeeper
from codex32.kernel.errors import PluginContractError

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

#: Every route that strangers may call. A new one is argued for here.
OPEN = {"health.alive", "health.ready", "openapi", "docs", "shelf.open"}
#: How strangers become somebody; each of them checks by itself.
OPEN |= {"auth.token", "auth.revoke", "auth.refresh", "auth.register", "auth.forgot", "auth.reset"}
OPEN |= {"auth.oidc.start", "auth.oidc.callback"}
#: Has a token of its own; without one in the settings nothing is there.
OPEN |= {"metrics.read"}
#: Webhooks come with proofs of their own.
OPEN |= {f"deliveries.{method}" for method in ("get", "post", "put", "patch", "delete")}
#: Whoever has a link was told of it, and sees what it leads to alone.
OPEN |= {"approval-links.show", "approval-links.decide"}
SUFFIXES = ["/configs", "/health", "/healthz", "/ready", "/metrics", ".svg", ".js", ";a", "%2e"]
SUFFIXES += ["%2f", "/", "//", "?x=/health", "/..%2fhealthz", "/%2e%2e/healthz", "/../../healthz"]
NAMES = ["health", "ready", "configs", "metrics", "healthz", "openapi-json"]


def filled(path, name="health"):
    return "/".join(name if part.startswith("{") else part for part in path.split("/"))


def closed(runtime):
    return [each for each in all_operations(runtime) if each.route.operation not in OPEN]


async def test_all_but_a_few_operations_refuse_strangers(api, runtime):
    for operation in closed(runtime):
        answer = await api(operation.route.method, filled(operation.path), token=None)
        assert (operation.path, answer.status) == (operation.path, 401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="codex32"'
        assert answer.json["code"] == "unauthorized"


async def test_no_ending_and_no_name_opens_a_closed_route(api, runtime):
    for operation, suffix, name in itertools.product(closed(runtime), SUFFIXES, NAMES):
        path = filled(operation.path, name) + suffix
        answer = await api(operation.route.method, path, token=None)
        assert (path, answer.status) == (path, 401)


async def test_the_router_holds_what_is_declared_and_nothing_else(runtime):
    operations = all_operations(runtime)
    app = build_application(operations, Gatekeeper("t"))
    served = {(route.method, route.resource.canonical) for route in app.router.routes()}
    assert served == {(method, each.path) for each in operations for method in each.methods}


async def test_a_stranger_is_not_told_which_addresses_exist(api):
    assert (await api("GET", "/api/v1/nowhere", token=None)).status == 401
    assert (await api("DELETE", "/api/v1/bots", token=None)).status == 401
    assert (await api("GET", "/api/v1/nowhere")).json["code"] == "not-found"
    refused = await api("DELETE", "/api/v1/bots")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET,HEAD,POST")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer  a token of the test"],
)
async def test_a_wrong_header_is_refused_without_an_echo(api, header):
    answer = await api("GET", "/api/v1/bots", token=None, headers={"Authorization": header})
    assert answer.status == 401
    assert "wrong" not in answer.text


@pytest.mark.parametrize("name", ["token", "access_token", "api_key"])
async def test_a_token_in_the_query_is_refused(api, name):
    path = f"/api/v1/bots?{name}=a%20token%20of%20the%20test"
    assert (await api("GET", path, token=None)).status == 401
    refused = await api("GET", path)
    assert refused.status == 422
    assert "of the test" not in refused.text


async def test_a_caller_without_the_permission_is_refused(runtime, aiohttp_client_of):
    class Narrow(Gatekeeper):
        async def recognise(self, headers):
            return Caller("user", "u", "narrow", permissions=frozenset({"bots.read"}))

    client = await aiohttp_client_of(build_application(all_operations(runtime), Narrow("t")))
    async with client.get("/api/v1/bots") as allowed:
        assert allowed.status == 200
    async with client.post("/api/v1/bots/ping/execute") as refused:
        assert refused.status == 403
        assert (await refused.json(content_type=None))["code"] == "access-denied"


@pytest.fixture
async def aiohttp_client_of():
    from aiohttp.test_utils import TestClient, TestServer

    clients = []

    async def start(app):
        clients.append(TestClient(TestServer(app)))
        await clients[-1].start_server()
        return clients[-1]

    yield start
    for client in clients:
        await client.close()


async def test_no_page_of_another_site_is_let_in(api):
    for origin in ("https://evil.example", "null", "http://localhost"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for method, token in (("OPTIONS", None), ("OPTIONS", "x"), ("GET", None)):
            answer = await api(method, "/api/v1/bots", token=token, headers=asked)
            assert answer.status == 401
            assert not [name for name in answer.headers if name.lower().startswith("access-")]


async def test_every_answer_carries_the_headers_that_keep_browsers_out(api):
    for path in ("/healthz", "/api/v1/bots", "/nowhere", "/api/v1/executions?limit=0"):
        headers = (await api("GET", path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Server"] == "codex32"


async def test_a_sane_request_id_is_kept_and_any_other_replaced(api):
    for given, kept in (("a.b-C_9", True), ("x" * 128, True), ("x" * 129, False), ("a b", False)):
        answer = await api("GET", "/healthz", headers={"X-Request-Id": given})
        assert (answer.headers["X-Request-Id"] == given) is kept


async def test_a_plugins_routes_stand_below_its_name_and_behind_the_same_guard(api):
    assert (await api("GET", "/api/v1/plugins/shelf/books/7", token=None)).status == 401
    told = await api("GET", "/api/v1/plugins/shelf/books/7")
    assert told.json == {"book": "7", "caller": "operator"}
    anybody = await api("GET", "/api/v1/plugins/shelf/open/7", token=None)
    assert anybody.json == {"book": "7", "caller": "a stranger"}


def test_a_route_without_a_policy_stops_the_start(runtime, shelf):
    bare = Route("GET", "/x", "shelf.x", "", lambda request: None)
    runtime.plugins.api_routes = lambda: [("shelf", bare)]
    with pytest.raises(PluginContractError, match=r"/plugins/shelf/x .* no policy") as raised:
        all_operations(runtime)
    assert raised.value.plugin == "shelf"


class Made(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("result", "status", "text"),
    [
        (Made(name="a"), 201, '{"name":"a"}'),
        (ApiResponse(status=204), 204, ""),
        (ApiResponse([1], 200, {"X-Own": "1"}), 200, "[1]"),
        (ValueError("password=hunter2"), 500, None),
        (float("nan"), 500, None),
        (AccessDenied("shelf.more"), 403, None),
    ],
)
async def test_what_a_plugins_handler_gives_is_answered(api_with, result, status, text):
    async def handler(request):
        if isinstance(result, Exception):
            raise result
        return result

    call = await api_with(Route("POST", "/x", "shelf.x", "shelf.x", handler, status=201))
    answer = await call("POST", "/api/v1/plugins/shelf/x")
    assert answer.status == status
    assert answer.text == text if text is not None else "hunter2" not in answer.text
