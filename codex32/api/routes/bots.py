"""Bots: which there are, and starting them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from codex32.api.errors import ConcurrencyFull
from codex32.api.models import BackfilledOut, BotOut, Page, StartedOut
from codex32.api.reading import KEY, Strict, one_key
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow
from codex32.runtime import Runtime
from codex32.services.backfill import Backfill, Filled, as_dict
from codex32.services.bot_views import BotView, views
from codex32.services.presentation import iso
from codex32.services.starting import Start

_PRIORITIES = Field(ge=-1000, le=1000, description="Higher runs first; default: the bot's own.")


class ExecuteIn(Strict):
    """With what a bot is to be executed."""

    inputs: dict[str, Any] = Field({})
    idempotency_key: Annotated[str, StringConstraints(pattern=KEY)] | None = Field(
        None, description="Asking again with the same key gives the execution that is there."
    )
    priority: Annotated[int, _PRIORITIES] | None = None


class BackfillIn(Strict):
    """Which times are to be made up for."""

    first: AwareDatetime = Field(alias="from")
    last: AwareDatetime = Field(alias="to", description="Not in the future.")
    trigger: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        None, description="Its place in the file, from 1, or its kind; default: all enabled ones."
    )
    limit: Annotated[int, Field(ge=1, le=10_000)] = Field(1000, description="The oldest first.")
    forgotten: bool = Field(
        False, description="Also where answers are so old that they were let go."
    )
    dry_run: bool = False


class BotsQuery(Strict):
    """Which part of the list."""

    cursor: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class BotRoutes:
    """The routes below ``/bots``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/bots",
                operation="bots.list",
                policy="bots.read",
                handler=self._list,
                summary="Bots by name",
                query=BotsQuery,
                response=Page[BotOut],
            ),
            Route(
                method="POST",
                path="/bots/{name}/execute",
                operation="bots.execute",
                policy="bots.execute",
                handler=self._execute,
                summary="Start an execution; workers carry it out",
                body=ExecuteIn,
                response=StartedOut,
                status=202,
            ),
            Route(
                method="POST",
                path="/bots/{name}/backfill",
                operation="bots.backfill",
                policy="bots.execute",
                handler=self._backfill,
                summary="Start it for the times of its schedule that are missing, oldest first",
                body=BackfillIn,
                response=BackfilledOut,
                status=202,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._runtime.door.read(_page, request.query)

    async def _execute(self, request: ApiRequest) -> ApiResponse:
        body, bot = request.body, request.path["name"]
        trigger = {"kind": "manual", "caller": request.caller.name}
        submitted = await self._runtime.starter.start(
            Start(
                bot=bot,
                inputs=body.inputs,
                trigger=trigger,
                request_key=one_key(request.headers, body.idempotency_key),
                priority=body.priority,
                workspace=request.caller.workspace,
            )
        )
        if submitted.id is None:
            raise ConcurrencyFull(f"{bot} runs as often as its `concurrency` allows; try later")
        url = f"/api/v1/executions/{submitted.id}"
        answer = {
            "id": submitted.id,
            "status_url": url,
            "repeated": submitted.repeated,
            "held": submitted.held,
        }
        return ApiResponse(answer, 202, {"Location": url})

    async def _backfill(self, request: ApiRequest) -> JSON:
        body, door, filler = request.body, self._runtime.door, self._runtime.backfiller
        wish = Backfill(
            request.path["name"],
            to_micros(body.first),
            to_micros(body.last),
            body.trigger,
            body.limit,
            body.forgotten,
            request.caller.workspace,
        )
        gap, filled = await door.read(filler.look, wish), Filled()
        for places in () if body.dry_run else gap.batches():
            filled.add(await door.write(partial(filler.fill, gap, places)))
        return as_dict(gap, filled, dry_run=body.dry_run)


def _page(query: BotsQuery) -> dict[str, JSON]:
    rows = BotRow.select().where(BotRow.removed_at.is_null()).order_by(BotRow.name)
    if query.cursor is not None:
        rows = rows.where(BotRow.name > query.cursor)
    found = list(rows.limit(query.limit + 1))
    shown = found[: query.limit]
    return {
        "items": [_as_dict(view) for view in views(shown)],
        "next": shown[-1].name if len(found) > len(shown) else None,
    }


def _as_dict(view: BotView) -> dict[str, JSON]:
    row = view.row
    return {
        "name": row.name,
        "status": view.standing,
        "version": view.number,
        "origin": row.origin,
        "source": row.source,
        "enabled": row.enabled,
        "paused": row.paused,
        "problems": loads(row.problems or "[]"),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }
