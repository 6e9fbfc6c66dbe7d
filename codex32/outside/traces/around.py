"""What stands around a step's ways out, and tells how long each took and how it ended.

Attributes hold names, hosts and counts: never a URL, whose path and query may hold secrets, and
never what was asked or answered. Names that a bot may take from a secret, as it may a host, are
masked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from codex32.kernel.contracts.bot_type import BotType, StepContext
from codex32.kernel.contracts.collections import (
    Answer,
    AnswerOrder,
    CollectionCaller,
    CollectionKeeper,
    Found,
    IndexOrder,
    IndexReport,
    SearchOrder,
)
from codex32.kernel.contracts.embedder import EmbeddingPurpose, Vector
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.contracts.llm import Completion, CompletionRequest
from codex32.kernel.contracts.notifier import Notification, Notifier, Receipt, SendCall
from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult, ProgramRunner
from codex32.kernel.hookspecs import StepCall
from codex32.kernel.json_values import JSON
from codex32.kernel.outcomes import Failed, Outcome
from codex32.kernel.redaction import unsaid
from codex32.outside.traces.otlp import Attribute, Doing, doing
from codex32.outside.traces.spans import Open, Tracing

_PROGRAM = doing("program")
#: No host has a longer name. What bots make up may be of any length, and is remembered for long.
_LONGEST_NAME = 253


def call(tracing: Tracing, inner: StepCall) -> StepCall:
    """Each try of a step."""

    async def traced(
        bot_type: BotType, context: StepContext, params: Mapping[str, JSON]
    ) -> Outcome:
        step = context.step
        with tracing.within(_step(step.id, step.type, step.number)) as span:
            if step.item is not None:
                span.attributes["codex32.step.item"] = step.item
            outcome = await inner(bot_type, context, params)
            if isinstance(outcome, Failed):
                span.error = outcome.code
            return outcome

    return traced


class TracedPrograms(ProgramRunner):
    """Programs in their sandboxes."""

    def __init__(self, tracing: Tracing, inner: ProgramRunner) -> None:
        self._tracing, self._inner = tracing, inner

    async def run(self, program: Program, host: ProgramHost) -> ProgramResult:
        """Run it."""
        with self._tracing.within(_PROGRAM) as span:
            result = await self._inner.run(program, host)
            span.attributes["codex32.sandbox"] = result.sandbox or "none"
            span.error = result.code or None
            return result

    async def prepare(self) -> None:
        """Find out what programs will be kept in by."""
        await self._inner.prepare()


class TracedModels(ModelGateway):
    """Models and embedders; names as OpenTelemetry's conventions for generative AI have them."""

    def __init__(self, tracing: Tracing, inner: ModelGateway) -> None:
        self._tracing, self._inner = tracing, inner

    async def complete(
        self,
        caller: ModelCaller,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask a model."""
        model = _name(request.model)
        about = _of_model("chat", model)
        with self._tracing.within(doing(f"chat {model}", "client"), about) as span:
            told = await self._inner.complete(caller, request, fallback=fallback, on_text=on_text)
            span.attributes["gen_ai.response.model"] = _name(told.model)
            span.attributes["gen_ai.usage.input_tokens"] = told.usage.input_tokens
            span.attributes["gen_ai.usage.output_tokens"] = told.usage.output_tokens
            return told

    async def embed(
        self,
        caller: ModelCaller,
        texts: Sequence[str],
        *,
        embedder: str,
        purpose: EmbeddingPurpose = "document",
    ) -> Sequence[Vector]:
        """Turn texts into vectors."""
        name = _name(embedder)
        about = _of_model("embeddings", name)
        with self._tracing.within(doing(f"embeddings {name}", "client"), about):
            return await self._inner.embed(caller, texts, embedder=embedder, purpose=purpose)


class TracedCollections(CollectionKeeper):
    """Collections; what models and programs do for them stands beneath."""

    def __init__(self, tracing: Tracing, inner: CollectionKeeper) -> None:
        self._tracing, self._inner = tracing, inner

    async def index(self, caller: CollectionCaller, order: IndexOrder) -> IndexReport:
        """Bring one to what the order says."""
        with self._within("index", order.collection) as span:
            told = await self._inner.index(caller, order)
            span.attributes["codex32.collection.chunks"] = told.chunks
            return told

    async def search(self, caller: CollectionCaller, order: SearchOrder) -> Sequence[Found]:
        """What fits best."""
        with self._within("search", order.collection) as span:
            found = await self._inner.search(caller, order)
            span.attributes["codex32.collection.found"] = len(found)
            return found

    async def answer(self, caller: CollectionCaller, order: AnswerOrder) -> Answer:
        """Have a model answer from what is found."""
        with self._within("answer", order.collection):
            return await self._inner.answer(caller, order)

    def _within(self, what: str, collection: str) -> Open:
        name = _name(collection)
        return self._tracing.within(doing(f"{what} {name}"), {"codex32.collection": name})


class TracedHttp(HttpClient):
    """Requests of bots to other machines."""

    def __init__(self, tracing: Tracing, inner: HttpClient) -> None:
        self._tracing, self._inner = tracing, inner

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one."""
        host = _host(request.url)
        about: dict[str, Attribute] = {
            "http.request.method": request.method,
            "server.address": host,
        }
        with self._tracing.within(doing(f"{request.method} {host}", "client"), about) as span:
            answer = await self._inner.send(request)
            span.attributes["http.response.status_code"] = answer.status
            span.error = str(answer.status) if answer.status >= 400 else None
            return answer


def send(tracing: Tracing, inner: SendCall) -> SendCall:
    """Notifications; where to is nobody's business."""

    async def traced(
        notifier: Notifier,
        notification: Notification,
        target: str,
        *,
        http: HttpClient,
        timeout_seconds: float,
    ) -> Receipt:
        about: dict[str, Attribute] = {"codex32.notifier": notifier.name}
        with tracing.within(doing(f"notify {notifier.name}", "client"), about):
            return await inner(
                notifier, notification, target, http=http, timeout_seconds=timeout_seconds
            )

    return traced


@lru_cache(maxsize=4096)
def _step(id_: str, type_: str, number: int) -> Doing:
    common = (
        ("codex32.step.id", id_),
        ("codex32.step.type", type_),
        ("codex32.step.try", number),
    )
    return doing(f"step {id_}", common=common)


def _of_model(operation: str, model: str) -> dict[str, Attribute]:
    provider, _, name = model.partition(":")
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": name,
    }


def _name(text: str) -> str:
    """What a bot calls something; a secret that is cut in two would not be found."""
    return unsaid(text)[:_LONGEST_NAME]


def _host(url: str) -> str:
    try:
        return _name(urlsplit(url).hostname or "")
    except ValueError:
        return ""
