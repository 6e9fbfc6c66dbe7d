"""A real server on a real database, and a client that holds every answer to the document."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

from codex32 import PUBLIC, ApiRequest, Route, hookimpl
from codex32.api.application import all_operations
from codex32.api.openapi import openapi
from codex32.api.server import serving
from codex32.kernel.account_rows import WorkspaceRow
from codex32.kernel.caller import STRANGER
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import canonical
from codex32.kernel.models import BotRow, VersionRow
from codex32.kernel.permissions import Role
from codex32.kernel.plugins import Plugins
from codex32.runtime import Runtime, open_runtime
from codex32.services.access import accounts, workspaces
from codex32.services.access.accounts import NewAccount
from codex32.services.access.passwords import Passwords
from codex32_config.settings import Settings, load_settings

TOKEN = "a token of the test"


@pytest.fixture
def shelf() -> Iterator[types.ModuleType]:
    """A plugin of a stranger's, with a route for callers and one for everybody."""

    async def book(request: ApiRequest) -> Any:
        return {"book": request.path["id"], "caller": request.caller.name}

    @hookimpl
    def register_api_routes() -> list[Route]:
        return [
            Route("GET", "/books/{id}", "shelf.book", "plugins.read", book),
            Route("GET", "/open/{id}", "shelf.open", PUBLIC, book),
        ]

    module = types.ModuleType("codex32_shelf")
    module.register_api_routes = register_api_routes  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def settings(tmp_path: Any, database_url: str) -> Settings:
    overrides = {"database_url": database_url, "api.token": TOKEN}
    # Tests call more often than people do.
    overrides |= {f"api.rates.{kind}": None for kind in ("normal", "start", "sign_in")}
    return load_settings(folder=tmp_path, overrides=overrides, environ={})


@pytest.fixture
def runtime(settings: Settings, shelf: types.ModuleType) -> Iterator[Runtime]:
    extra = [("builtin", "codex32.builtin.plugin"), ("shelf", shelf)]
    plugins = Plugins.load({}, group="codex32.none", extra=extra, strict=True)
    runtime = open_runtime(settings, "api", plugins=plugins)
    yield runtime
    runtime.close()


@pytest.fixture
def add_bot(runtime: Runtime) -> Callable[..., str]:
    """Stores a bot with one live version; its id. Not on the event loop."""

    def add(name: str = "ping", **more: Any) -> str:
        document = {"name": name, "type": "set", "with": {"values": {}}, **more}
        runtime.reader.from_document(document)
        bot, version, now = new_id("bot"), new_id("ver"), runtime.clock.micros()

        def store() -> None:
            BotRow.insert(
                id=bot,
                workspace="default",
                name=name,
                origin="file",
                source=f"bots/{name}.yaml",
                active_version_id=version,
                created_at=now,
                updated_at=now,
            ).execute()
            VersionRow.insert(
                id=version,
                bot_id=bot,
                number=1,
                digest=version,
                document=canonical(document),
                text="",
                origin="file",
                created_at=now,
            ).execute()

        runtime.door.write_now(store)
        return bot

    return add


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Calls the API as the administrator, or as a stranger with ``token=None``."""

    def __init__(self, session: aiohttp.ClientSession, url: str, document: dict[str, Any]) -> None:
        self.session, self.url, self.document = session, url, document

    async def __call__(
        self, method: str, path: str, *, token: str | None = TOKEN, **arguments: Any
    ) -> Answer:
        headers = dict(arguments.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = aiohttp.client.URL(self.url + path, encoded=True)
        sent = self.session.request(method, url, headers=headers, **arguments)
        async with sent as response:
            answer = Answer(response.status, response.headers, await response.text())
        self._check(method, path.partition("?")[0], answer)
        return answer

    def _check(self, method: str, path: str, answer: Answer) -> None:
        if answer.status >= 400 and answer.headers["Content-Type"].startswith("application/prob"):
            self._fits({"$ref": "#/components/schemas/ProblemDocument"}, answer.json)
            assert answer.json["status"] == answer.status
            assert answer.json["request_id"] == answer.headers["X-Request-Id"]
            return
        if answer.headers.get("Content-Type", "").startswith("text/html"):  # for people
            return
        if answer.status >= 400 and "/plugins/" in path:  # as the plugin has it
            return
        if answer.status >= 400 and path != "/readyz":  # as RFC 6749 has it
            assert path.endswith(("/auth/token", "/auth/revoke"))
            assert set(answer.json) == {"error", "error_description"}
            return
        # What is written out goes before what has variables.
        for template, entry in sorted(self.document["paths"].items(), key=lambda e: e[0] != path):
            parts, given = template.split("/"), path.split("/")
            if (
                len(parts) == len(given)
                and method.lower() in entry
                and all(a == b or a.startswith("{") for a, b in zip(parts, given, strict=True))
            ):
                told = entry[method.lower()]["responses"]
                schema = told.get(str(answer.status), next(iter(told.values())))
                kind = answer.headers.get("Content-Type", "").partition(";")[0]
                if kind == "application/json" and kind in schema.get("content", {}):
                    self._fits(schema["content"]["application/json"]["schema"], answer.json)
                return

    def _fits(self, schema: dict[str, Any], value: Any) -> None:
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole).validate(value)


@contextlib.asynccontextmanager
async def _client_of(runtime: Runtime) -> AsyncIterator[Client]:
    document = openapi(all_operations(runtime))
    async with (
        serving(runtime, "127.0.0.1", 0) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Client(session, url, document)


@pytest.fixture
def client_of() -> Callable[[Runtime], contextlib.AbstractAsyncContextManager[Client]]:
    """Serves a runtime while its block runs."""
    return _client_of


@pytest.fixture
def served(runtime: Runtime) -> Iterator[str]:
    """The URL of a server that runs beside the test, for commands that call it."""
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with serving(runtime, "127.0.0.1", 0) as url:
            ready.set_result((url, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    url, loop, stop = ready.result(timeout=60)
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest_asyncio.fixture
async def api(runtime: Runtime) -> AsyncIterator[Client]:
    async with _client_of(runtime) as client:
        yield client


@pytest_asyncio.fixture
async def api_with(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Any]]:
    """A client of the API with more routes of a plugin's."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*routes: Route) -> Client:
            added = [("shelf", route) for route in routes]
            monkeypatch.setattr(runtime.plugins, "api_routes", lambda: added)
            return await stack.enter_async_context(_client_of(runtime))

        yield start


@dataclass
class People:
    """Accounts of the test; all have the same password."""

    runtime: Runtime
    api: Client
    password: str = "correct horse 7"

    async def add(self, name: str, role: str | None = None, **more: Any) -> str:
        """Make an account, a member of ``default`` where a role is told; its id."""
        hashed = more.pop("password_hash", _HASH)
        new = NewAccount(f"{name}@example.com", name, name.title(), password_hash=hashed, **more)
        now, door = self.runtime.clock.micros(), self.runtime.door
        await door.write(lambda: accounts.create(new, STRANGER, now))
        if role is not None:
            await self.join(name, role)
        return new.id

    async def join(self, name: str, role: str, workspace: str = "default") -> None:
        """Make somebody a member."""
        now = self.runtime.clock.micros()

        def write() -> None:
            if not WorkspaceRow.select().where(WorkspaceRow.name == workspace).exists():
                workspaces.create(workspace, "", STRANGER, now)
            workspaces.put_member(workspace, name, Role(role), STRANGER, now)

        await self.runtime.access.recogniser.change(write)

    async def token(self, name: str, password: str | None = None, **form: str) -> Answer:
        """What the token endpoint answers."""
        form = {
            "grant_type": "password",
            "username": name,
            "password": self.password if password is None else password,
            **form,
        }
        return await self.api("POST", "/api/v1/auth/token", token=None, data=form)

    async def refresh(self, token: str, **headers: str) -> Answer:
        """What the token endpoint answers to a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token}
        url = "/api/v1/auth/token"
        return await self.api("POST", url, token=None, data=form, headers=headers)

    async def sign_in(self, name: str) -> Any:
        """Tokens of somebody."""
        answer = await self.token(name)
        assert answer.status == 200, answer.text
        return answer.json


@pytest.fixture
def people(runtime: Runtime, api: Client) -> People:
    return People(runtime, api)


#: Of the password above; made once, since it is meant to take its time.
_HASH = Passwords().hash_now("correct horse 7")
