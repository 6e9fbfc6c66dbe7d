"""Collections: what they hold, what is found in them, what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property, partial

from codex32.api.collection_models import (
    AnswerOut,
    CollectionOut,
    CollectionsQuery,
    DocumentIn,
    DocumentOut,
    DocumentQuery,
    DocumentsQuery,
    FoundsOut,
    IndexedOut,
    QueryIn,
    QuestionIn,
)
from codex32.api.models import Page
from codex32.kernel.contracts.collections import (
    AnswerOrder,
    CollectionCaller,
    CollectionKeeper,
    Document,
    IndexOrder,
    SearchOrder,
)
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.kernel.vector_errors import RecordInvalid
from codex32.runtime import Runtime
from codex32.services.metering.around import CountedPrograms
from codex32.services.retrieval import keeping
from codex32.services.retrieval.caution import caution
from codex32.services.retrieval.retrieval import Retrieval

#: A request waits no longer for models and for whoever changes the collection.
_PATIENCE = timedelta(seconds=100)
_NANO = 1_000_000_000


class CollectionRoutes:
    """The routes below ``/collections``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._door, self._clock = runtime.door, runtime.clock

    @cached_property
    def _retrieval(self) -> Retrieval:
        """Made by the first request, on the event loop it belongs to."""
        runtime = self._runtime
        programs = runtime.programs()
        models: ModelGateway = runtime.models.gateway
        seen: ProgramRunner = CountedPrograms(runtime.meter, programs)
        if runtime.traces is not None:
            seen, models = runtime.traces.programs(seen), runtime.traces.models(models)
        retrieval = runtime.retrieval(seen, models)
        runtime.leaving += [programs.close, retrieval.close, runtime.models.close]
        return retrieval

    @cached_property
    def _keeper(self) -> CollectionKeeper:
        """The same to those who index, search and ask."""
        traces, retrieval = self._runtime.traces, self._retrieval
        return retrieval if traces is None else traces.collections(retrieval)

    def routes(self) -> list[Route]:
        """The declarations."""
        return [*self._looking(), *self._changing(), *self._asking()]

    def _looking(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/collections",
                operation="collections.list",
                policy="collections.read",
                handler=self._list,
                summary="Collections by name, with what they hold",
                query=CollectionsQuery,
                response=Page[CollectionOut],
            ),
            Route(
                method="GET",
                path="/collections/{name}",
                operation="collections.read",
                policy="collections.read",
                handler=self._read,
                summary="A collection",
                response=CollectionOut,
            ),
            Route(
                method="GET",
                path="/collections/{name}/documents",
                operation="collections.documents",
                policy="collections.read",
                handler=self._documents,
                summary="Documents of a collection, by source",
                query=DocumentsQuery,
                response=Page[DocumentOut],
            ),
        ]

    def _changing(self) -> list[Route]:
        return [
            Route(
                method="PUT",
                path="/collections/{name}/documents",
                operation="collections.documents.write",
                policy="collections.write",
                handler=self._write,
                summary="Index a text; the same text again costs nothing",
                body=DocumentIn,
                response=IndexedOut,
                also={201: IndexedOut},
            ),
            Route(
                method="DELETE",
                path="/collections/{name}/documents",
                operation="collections.documents.delete",
                policy="collections.write",
                handler=self._remove,
                summary="Take a document out of a collection",
                query=DocumentQuery,
                status=204,
            ),
            Route(
                method="DELETE",
                path="/collections/{name}",
                operation="collections.delete",
                policy="collections.write",
                handler=self._delete,
                summary="Delete a collection with its documents and its index",
                status=204,
            ),
        ]

    def _asking(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path="/collections/{name}/query",
                operation="collections.query",
                policy="collections.query",
                handler=self._query,
                summary="Find parts of documents by meaning and by words",
                body=QueryIn,
                response=FoundsOut,
            ),
            Route(
                method="POST",
                path="/collections/{name}/answer",
                operation="collections.answer",
                policy="collections.query",
                handler=self._answer,
                summary="Answer a question from a collection, with checked quotes",
                body=QuestionIn,
                response=AnswerOut,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        after, limit = request.query.cursor, request.query.limit
        now = self._clock.micros()
        work = partial(keeping.listing, request.caller.workspace, now, after, limit + 1)
        found = [self._cautioned(each) for each in await self._door.read(work)]
        return _page(found, limit, "name")

    async def _read(self, request: ApiRequest) -> JSON:
        now = self._clock.micros()
        return self._cautioned(await self._door.read(keeping.show, *_named(request), now))

    def _cautioned(self, shown: dict[str, JSON]) -> dict[str, JSON]:
        told = caution(self._runtime.components, str(shown["embedder"]))
        return {**shown, "caution": told}

    async def _documents(self, request: ApiRequest) -> JSON:
        after, limit = request.query.cursor, request.query.limit
        work = partial(keeping.documents, *_named(request), after, limit + 1)
        return _page(await self._door.read(work), limit, "source")

    async def _write(self, request: ApiRequest) -> ApiResponse:
        body = request.body
        document = Document(body.source, body.text, metadata=body.metadata)
        order = IndexOrder(request.path["name"], [document])
        report = await self._keeper.index(self._caller(request), order)
        for source, why in report.failed:
            raise RecordInvalid(f"{source} was not taken: {why}")
        result = "added" if report.added else "changed" if report.changed else "unchanged"
        told = {"result": result, "chunks": report.chunks, "embedded": report.embedded}
        return ApiResponse(told, 201 if report.added else 200)

    async def _remove(self, request: ApiRequest) -> ApiResponse:
        caller, name = self._caller(request), request.path["name"]
        await self._retrieval.remove(caller, name, request.query.source)
        return ApiResponse(None, 204)

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        await self._retrieval.delete(*_named(request), request.caller)
        return ApiResponse(None, 204)

    async def _query(self, request: ApiRequest) -> JSON:
        body = request.body
        order = SearchOrder(request.path["name"], body.text, body.limit, body.where)
        found = await self._keeper.search(self._caller(request), order)
        return {"items": [_without_id(asdict(each)) for each in found]}

    async def _answer(self, request: ApiRequest) -> JSON:
        body = request.body
        order = AnswerOrder(
            collection=request.path["name"],
            question=body.question,
            model=body.model,
            fallback=body.fallback,
            limit=body.limit,
            where=body.where,
            threshold=body.threshold,
        )
        answer = await self._keeper.answer(self._caller(request), order)
        return {
            "answer": answer.text,
            "found": answer.found,
            "sources": list(answer.sources),
            "citations": [
                {
                    "claim": each.claim,
                    "quote": each.quote,
                    "source": each.source,
                    "status": each.status,
                }
                for each in answer.citations
            ],
            "model": answer.model,
            "cost_usd": answer.cost_nano_usd / _NANO,
        }

    def _caller(self, request: ApiRequest) -> CollectionCaller:
        models = ModelCaller(
            workspace=request.caller.workspace,
            deadline_at=self._clock.now() + _PATIENCE,
            purpose=f"collection {request.path['name']}",
        )
        return CollectionCaller(models, by=request.caller)


def _named(request: ApiRequest) -> tuple[str, str]:
    return request.caller.workspace, request.path["name"]


def _page(found: list[dict[str, JSON]], limit: int, key: str) -> dict[str, JSON]:
    shown = found[:limit]
    return {"items": shown, "next": shown[-1][key] if len(found) > limit else None}


def _without_id(found: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in found.items() if key != "id"}
