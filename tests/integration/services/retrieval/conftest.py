"""Collections over real rows and a real sandbox; vectors in memory, from hashed words."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from codex32.builtin.fakes.hash_embedder import HashEmbedder
from codex32.builtin.fakes.memory_vector_store import MemoryVectorStore
from codex32.kernel.caller import Caller
from codex32.kernel.clock import SystemClock
from codex32.kernel.components import Components
from codex32.kernel.contracts.collections import CollectionCaller
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.llm import Completion, CompletionRequest
from codex32.kernel.database import Door
from codex32.outside.plugin import register_sandboxes
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.runner import SandboxedRunner
from codex32.services.retrieval.retrieval import Defaults, Retrieval

LATER = datetime(2027, 1, 1, tzinfo=UTC)


class PlainGateway(ModelGateway):
    """Calls embedders straight, counts what they are asked, and fails as it is told.

    Attributes:
      embedded: The texts of each call, documents alone.
      faults: Raised by the next calls, one each, where it is not None.
      spoil: What is made of the vectors of a call.
      replies: What models answer, one each.
    """

    def __init__(self, components: Components) -> None:
        self._components = components
        self.embedded: list[list[str]] = []
        self.faults: deque[Exception | None] = deque()
        self.spoil: Callable[[list[list[float]]], Any] = lambda vectors: vectors
        self.replies: deque[Any] = deque()
        self.requests: list[CompletionRequest] = []
        self.most_texts = 10_000

    async def embed(self, caller, texts, *, embedder, purpose="document") -> Sequence[Any]:
        if purpose == "document":
            if self.faults and (fault := self.faults.popleft()) is not None:
                raise fault
            if len(texts) > self.most_texts:
                from codex32.kernel.model_errors import ModelFault

                raise ModelFault("bad_request", "too many inputs", status=400)
            self.embedded.append(list(texts))
        found = await self._components.embedder(embedder).embed(
            texts, purpose=purpose, timeout_seconds=10, key=None
        )
        vectors = [list(each) for each in found.vectors]
        return self.spoil(vectors) if purpose == "document" else vectors

    async def complete(self, caller, request, *, fallback=(), on_text=None) -> Completion:
        self.requests.append(request)
        reply = self.replies.popleft()
        value = reply(request) if callable(reply) else reply
        return Completion("", value=value, model=request.model, cost_nano_usd=7)


@pytest.fixture
def store() -> MemoryVectorStore:
    return MemoryVectorStore()


@pytest.fixture
def components(store) -> Components:
    other = HashEmbedder(64)
    other.name = "other"
    return Components.of(
        embedders=[HashEmbedder(), other],
        vector_stores=[store],
        sandboxes=register_sandboxes(),
    )


@pytest.fixture
def gateway(components) -> PlainGateway:
    return PlainGateway(components)


@pytest.fixture
async def retrieval(door: Door, components, gateway) -> AsyncIterator[Retrieval]:
    programs = SandboxedRunner(components.sandboxes, SandboxRules())
    yield Retrieval(
        door=door,
        clock=SystemClock.shared,
        components=components,
        models=gateway,
        programs=programs,
        defaults=Defaults("hash", "memory"),
    )
    await programs.close()


@pytest.fixture
def me() -> ModelCaller:
    return ModelCaller("default", LATER, purpose="a test")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def caller(me, lines, tmp_path) -> CollectionCaller:
    """Somebody who may read what lies in ``docs``."""
    from codex32.kernel.contracts.program import FileGrant

    (tmp_path / "docs").mkdir(exist_ok=True)
    return CollectionCaller(
        me, (FileGrant(str(tmp_path / "docs")),), ("docs.example.com",), lines.append
    )


@pytest.fixture
def person() -> Caller:
    return Caller(kind="user", id="usr_1", name="ada", workspace="default")


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir(exist_ok=True)
    return folder
