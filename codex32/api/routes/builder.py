"""Bots from descriptions: sessions, what they ask, their drafts, and what becomes of those."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from codex32.api.builder_models import (
    AcceptIn,
    AnswersIn,
    BranchIn,
    BuildIn,
    BuildOut,
    BuildsQuery,
    DraftOut,
    RepairIn,
)
from codex32.api.callers import require
from codex32.api.models import Page
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.ai.money import nano
from codex32.services.building import accepting, presenting, sessions
from codex32.services.building.session import Session

_ALL = "/intelligent-bots"
_ONE = f"{_ALL}/{{session_id}}"

#: Beside it, what changes a bot shows the bot, and what mends it an execution, with its values.
_OF_CHANGES = ("bots.read",)
_OF_REPAIRS = (*_OF_CHANGES, "executions.read")

#: What all the routes share unless they say otherwise: who may build, and a session as the answer.
_route = partial(Route, policy="bots.build", response=BuildOut)
_look, _do = partial(_route, method="GET"), partial(_route, method="POST")
#: Makes a session, which then works on by itself.
_begin = partial(_do, status=202, rate="start", keyed=True)


class BuilderRoutes:
    """The routes below ``/intelligent-bots``; the process works on sessions beside them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._door, self._clock = runtime.door, runtime.clock

    def routes(self) -> list[Route]:
        """The declarations."""
        return [*self._working(), *self._looking(), *self._deciding()]

    def _working(self) -> list[Route]:
        return [
            _begin(
                path=f"{_ALL}/create-advanced",
                operation="builds.create",
                handler=self._create,
                summary="Describe a bot, or a change of one; a session builds it",
                body=BuildIn,
            ),
            _begin(
                path=f"{_ALL}/repair",
                operation="builds.repair",
                handler=self._repair,
                summary="Mend the bot of a failed execution; a session drafts the change",
                body=RepairIn,
            ),
            _do(
                path=f"{_ONE}/answer",
                operation="builds.answer",
                handler=self._answer,
                summary="Answer what a session asks, in any order, all or some",
                body=AnswersIn,
            ),
            _begin(
                path=f"{_ONE}/branch",
                operation="builds.branch",
                handler=self._branch,
                summary="Go on from a stage in another session",
                body=BranchIn,
            ),
            _do(
                path=f"{_ONE}/abandon",
                operation="builds.abandon",
                handler=self._abandon,
                summary="Give a session up",
            ),
        ]

    def _looking(self) -> list[Route]:
        return [
            _look(
                path=_ALL,
                operation="builds.list",
                handler=self._list,
                summary="Sessions of the builder, the newest first",
                query=BuildsQuery,
                response=Page[BuildOut],
            ),
            _look(
                path=_ONE,
                operation="builds.read",
                handler=self._read,
                summary="A session: where it is, and what it asks",
            ),
            _look(
                path=f"{_ONE}/draft",
                operation="builds.draft",
                handler=self._draft,
                summary="Its draft: YAML, tests and what they showed, capabilities, changes",
                response=DraftOut,
            ),
        ]

    def _deciding(self) -> list[Route]:
        return [
            _do(
                path=f"{_ONE}/accept",
                operation="builds.accept",
                policy="bots.write",
                handler=self._accept,
                summary="Make the draft that was shown a bot; a new one starts disabled",
                body=AcceptIn,
            ),
            _do(
                path=f"{_ONE}/undo",
                operation="builds.undo",
                policy="bots.write",
                handler=self._undo,
                summary="Take an acceptance back, once",
            ),
        ]

    async def _create(self, request: ApiRequest) -> JSON:
        body = request.body
        _require(request, _OF_CHANGES if body.bot is not None else ())
        session = await self._runtime.builder.begin(
            body.description,
            request.caller,
            bot=body.bot,
            model=body.model,
            budget_nano=_nano(body.budget_usd),
        )
        return await self._told(session)

    async def _repair(self, request: ApiRequest) -> JSON:
        body = request.body
        _require(request, _OF_REPAIRS)
        session = await self._runtime.builder.repair(
            body.execution,
            request.caller,
            hint=body.hint,
            model=body.model,
            budget_nano=_nano(body.budget_usd),
        )
        return await self._told(session)

    async def _answer(self, request: ApiRequest) -> JSON:
        body = request.body
        session = await self._runtime.builder.answer(
            request.path["session_id"],
            body.answers,
            request.caller,
            go_on=body.proceed,
            version=body.version,
        )
        return await self._told(session)

    async def _branch(self, request: ApiRequest) -> JSON:
        body = request.body
        await self._door.read(_session, request)
        session = await self._runtime.builder.branch(
            request.path["session_id"], body.stage, request.caller, body.description
        )
        return await self._told(session)

    async def _abandon(self, request: ApiRequest) -> JSON:
        name, now = request.path["session_id"], self._clock.micros()
        return await self._told(
            await self._door.write(partial(sessions.abandon, name, request.caller, now))
        )

    async def _list(self, request: ApiRequest) -> JSON:
        query, workspace = request.query, request.caller.workspace

        def look() -> JSON:
            found = sessions.listing(
                workspace, status=query.status, before=query.cursor, limit=query.limit + 1
            )
            shown = found[: query.limit]
            more = shown[-1].id if len(found) > query.limit else None
            queue = self._queue()
            return {"items": [presenting.told(each, queue) for each in shown], "next": more}

        return await self._door.read(look)

    async def _read(self, request: ApiRequest) -> JSON:
        return await self._door.read(lambda: presenting.told(_session(request), self._queue()))

    async def _draft(self, request: ApiRequest) -> JSON:
        present = self._runtime.builder.presenter.draft
        return await self._door.read(lambda: present(_session(request)))

    async def _accept(self, request: ApiRequest) -> JSON:
        body = request.body
        wish = accepting.Acceptance(request.path["session_id"], body.digest, body.enable)
        return await self._told(await self._runtime.builder.accept(wish, request.caller))

    async def _undo(self, request: ApiRequest) -> JSON:
        write = partial(
            accepting.undo,
            request.path["session_id"],
            self._runtime.registry,
            request.caller,
            self._clock.micros(),
        )
        return await self._told(await self._door.write(write))

    async def _told(self, session: Session) -> JSON:
        return await self._door.read(lambda: presenting.told(session, self._queue()))

    def _queue(self) -> list[str]:
        return sessions.waiting(self._clock.micros())


def _nano(budget_usd: float | None) -> int | None:
    return None if budget_usd is None else nano(budget_usd)


def _session(request: ApiRequest) -> Session:
    """The one that is meant, for who may see what it was made of.

    Raises:
      AccessDenied: They may not see its bot, or the execution whose values are in its tests.
    """
    session = sessions.get(request.path["session_id"], request.caller.workspace)
    changes = _OF_CHANGES if session.bot is not None else ()
    _require(request, _OF_REPAIRS if session.work.repair else changes)
    return session


def _require(request: ApiRequest, permissions: Sequence[str]) -> None:
    for permission in permissions:
        require(request.caller, permission)
