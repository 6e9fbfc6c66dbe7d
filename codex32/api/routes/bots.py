"""Bots: which there are, pausing them, and filling up their schedules."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from codex32.api.bot_models import BotDetail, BotOut, ExplanationOut
from codex32.api.conditions import etag
from codex32.api.errors import RequestInvalid
from codex32.api.models import BackfilledOut, Page
from codex32.api.reading import WITHOUT_NUL, Moment, Strict
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.runtime import Runtime
from codex32.services.bots import bot_views, bots, provenance, usage
from codex32.services.bots.bot_search import Order, Search, Standing, search
from codex32.services.explaining.view import explanation
from codex32.services.triggers.backfill import Backfill, Filled, as_dict


class BackfillIn(Strict):
    """Which times and events are to be made up for."""

    first: Moment = Field(alias="from")
    last: Moment = Field(alias="to", description="Not in the future.")
    trigger: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        None, description="Its place in the file, from 1, or its kind; default: all enabled ones."
    )
    limit: Annotated[int, Field(ge=1, le=10_000)] = Field(1000, description="The oldest first.")
    forgotten: bool = Field(
        False, description="Also where answers are so old that they were let go."
    )
    dry_run: bool = False


def _short(longest: int, shortest: int = 1) -> StringConstraints:
    """Text to look for."""
    return StringConstraints(min_length=shortest, max_length=longest, pattern=WITHOUT_NUL)


class BotsQuery(Strict):
    """Which bots, in which order, and which part of the list."""

    status: list[Standing] = Field([], description="Any of them; default: all but `removed`.")
    origin: list[Literal["file", "api", "builder", "run"]] = Field([], description="Any of them.")
    owner: Annotated[str, _short(200, 0)] | None = None
    label: list[Annotated[str, _short(500)]] = Field(
        [], description="`name=value`, or `name` whatever the value; all of them."
    )
    text: Annotated[str, _short(100)] | None = Field(
        None, description="In the name or the description."
    )
    sort: Order = Field("name", description="With `-` the other way round.")
    cursor: (
        Annotated[str, StringConstraints(pattern=r"^(\d{1,18}\.)?[a-z][a-z0-9-]{0,62}$")] | None
    ) = None
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
                summary="Bots, filtered and sorted",
                query=BotsQuery,
                response=Page[BotOut],
            ),
            Route(
                method="GET",
                path="/bots/{name}",
                operation="bots.read",
                policy="bots.read",
                handler=self._read,
                summary="A bot with its live definition and its newest executions in numbers",
                response=BotDetail,
            ),
            Route(
                method="GET",
                path="/bots/{name}/explanation",
                operation="bots.explain",
                policy="bots.read",
                handler=self._explain,
                summary="Its live version in words, as a diagram, what it wants and may cost",
                response=ExplanationOut,
            ),
            *(self._pausing(paused) for paused in (True, False)),
            Route(
                method="POST",
                path="/bots/{name}/backfill",
                operation="bots.backfill",
                policy="bots.execute",
                handler=self._backfill,
                summary="Start it for the times and events that it missed, oldest first",
                body=BackfillIn,
                response=BackfilledOut,
                status=202,
            ),
        ]

    def _pausing(self, paused: bool) -> Route:
        verb = "pause" if paused else "resume"

        async def pause(request: ApiRequest) -> JSON:
            caller, now = request.caller, self._runtime.clock.micros()
            name = request.path["name"]

            def change() -> JSON:
                bots.pause(name, now, paused=paused, by=caller, workspace=caller.workspace)
                return bot_views.as_dict(bot_views.view(name, workspace=caller.workspace))

            return await self._runtime.door.write(change)

        return Route(
            method="POST",
            path=f"/bots/{{name}}/{verb}",
            operation=f"bots.{verb}",
            policy="bots.write",
            handler=pause,
            summary="Let no trigger start it" if paused else "Let triggers start it again",
            response=BotOut,
        )

    async def _list(self, request: ApiRequest) -> JSON:
        query = request.query
        labels = dict(_label(each) for each in query.label)
        wish = Search(
            request.caller.workspace,
            status=query.status,
            origin=query.origin,
            owner=query.owner,
            labels=labels,
            text=query.text,
            order=query.sort,
            after=query.cursor,
            limit=query.limit,
        )
        try:
            found = await self._runtime.door.read(search, wish)
        except ValueError as error:
            raise RequestInvalid([Problem(str(error), "cursor")]) from None
        return {"items": [bot_views.as_dict(each) for each in found.items], "next": found.next}

    async def _explain(self, request: ApiRequest) -> JSON:
        runtime = self._runtime
        parts = runtime.definitions, runtime.components, runtime.models.prices
        look = partial(
            explanation,
            request.path["name"],
            runtime.clock.micros(),
            *parts,
            workspace=request.caller.workspace,
        )
        return dict(await runtime.door.read(look))

    async def _read(self, request: ApiRequest) -> ApiResponse:
        whole, tag = await self._runtime.door.read(
            _whole, request.path["name"], request.caller.workspace
        )
        headers = {"ETag": etag(tag)} if tag else {}
        return ApiResponse(whole, headers=headers)

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
            request.caller,
        )
        gap, filled = await door.read(filler.look, wish), Filled()
        for places in () if body.dry_run else gap.batches():
            filled.add(await door.write(partial(filler.fill, gap, places)))
        return as_dict(gap, filled, dry_run=body.dry_run)


def _whole(name: str, workspace: str) -> tuple[JSON, str | None]:
    view = bot_views.view(name, workspace=workspace)
    document = bot_views.document(view)
    digest = view.live.digest if view.live else ""
    whole = {
        **bot_views.as_dict(view),
        "definition": document,
        "origins": provenance.told(workspace, document, digest) if document else [],
        "recent": usage.of_bot(view.row.id).as_dict(),
    }
    return whole, bots.tag(view.row)


def _label(text: str) -> tuple[str, str | None]:
    name, given, value = text.partition("=")
    return name, value if given else None
