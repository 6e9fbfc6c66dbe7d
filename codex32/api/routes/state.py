"""What bots remember between executions."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from codex32.api.bot_models import StateOut
from codex32.api.models import Page
from codex32.api.reading import Strict
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.kernel.models import StateRow
from codex32.kernel.state_keys import LONGEST_KEY, key_fault
from codex32.runtime import Runtime
from codex32.services.bots import states


def _storable(key: str) -> str:
    if fault := key_fault(key):
        raise ValueError(fault)
    return key


_Key = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_KEY),
    AfterValidator(_storable),
]


class StatesQuery(Strict):
    """Which entries."""

    prefix: _Key | None = Field(None, description="With which their keys begin.")
    cursor: _Key | None = Field(None, description="The `next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class KeyQuery(Strict):
    """Which entry."""

    key: _Key


class StateIn(Strict):
    """An entry to be."""

    key: _Key
    value: Any


class StateRoutes:
    """The routes below ``/bots/{name}/state``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/bots/{name}/state",
                operation="state.list",
                policy="state.read",
                handler=self._list,
                summary="What a bot remembers, by key",
                query=StatesQuery,
                response=Page[StateOut],
            ),
            Route(
                method="GET",
                path="/bots/{name}/state/entry",
                operation="state.read",
                policy="state.read",
                handler=self._read,
                summary="One entry",
                query=KeyQuery,
                response=StateOut,
            ),
            Route(
                method="PUT",
                path="/bots/{name}/state/entry",
                operation="state.write",
                policy="state.write",
                handler=self._write,
                summary="Write an entry, whatever stood there",
                body=StateIn,
                response=StateOut,
                also={201: StateOut},
            ),
            Route(
                method="DELETE",
                path="/bots/{name}/state/entry",
                operation="state.delete",
                policy="state.write",
                handler=self._delete,
                summary="Let a bot forget an entry",
                query=KeyQuery,
                status=204,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query = request.query
        read = partial(
            states.listing,
            workspace=request.caller.workspace,
            prefix=query.prefix or "",
            after=query.cursor or "",
            limit=query.limit,
        )
        shown, more = await self._runtime.door.read(read, request.path["name"])
        return {"items": [states.as_dict(each) for each in shown], "next": more}

    async def _read(self, request: ApiRequest) -> JSON:
        read = partial(states.get, workspace=request.caller.workspace)
        found = await self._runtime.door.read(read, request.path["name"], request.query.key)
        return states.as_dict(found)

    async def _write(self, request: ApiRequest) -> ApiResponse:
        body, caller, now = request.body, request.caller, self._runtime.clock.micros()

        def write() -> tuple[StateRow, bool]:
            name = request.path["name"]
            return states.put(
                name, body.key, body.value, now, by=caller, workspace=caller.workspace
            )

        row, new = await self._runtime.door.write(write)
        return ApiResponse(states.as_dict(row), 201 if new else 200)

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        caller, now = request.caller, self._runtime.clock.micros()
        name, key = request.path["name"], request.query.key

        def delete() -> None:
            states.delete(name, key, now, by=caller, workspace=caller.workspace)

        await self._runtime.door.write(delete)
        return ApiResponse(None, 204)
