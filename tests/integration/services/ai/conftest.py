"""A gateway on a real database, and a provider that does as a test says."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from codex32 import (
    CAPABILITIES,
    CompletionRequest,
    Embedded,
    Embedder,
    Finished,
    LLMProvider,
    ModelFault,
    ModelInfo,
    ModelMessage,
    TextDelta,
    ToolCall,
    Usage,
)
from codex32.engine.values import dialect  # noqa: F401 - else a schema would load it on the loop
from codex32.kernel.components import Components
from codex32.kernel.contracts.board import LocalBoard
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.spending_rows import BudgetRow, ModelAttemptRow
from codex32.services.ai.budgets import Caps
from codex32.services.ai.gateway import Rules
from codex32.services.ai.money import nano
from codex32.services.ai.parts import Models
from codex32.services.ai.prices import Price, Prices

USED = Usage(100, 20)


@dataclass
class Said:
    """An answer that a provider is to give.

    Attributes:
      drip_seconds: Between its words.
      usage: None tells none.
      end: Whether the stream ends as it should.
    """

    text: str = "yes"
    calls: tuple[ToolCall, ...] = ()
    reason: str = "stop"
    usage: Any = USED
    drip_seconds: float = 0.0
    end: bool = True
    cut: ModelFault | None = None


class Scripted(LLMProvider):
    """Gives the answers that lie ready, in order; then it says yes."""

    price_list = ""

    def __init__(self, name: str, models: list[ModelInfo], secret: str | None = None) -> None:
        self.name, self._models, self.secret = name, models, secret
        self.asked: list[CompletionRequest] = []
        self.keys: list[str | None] = []
        self.ready: deque[Any] = deque()

    def say(self, *answers: Any) -> None:
        self.ready.extend(Said(each) if isinstance(each, str) else each for each in answers)

    def models(self):
        return self._models

    async def complete(self, request, *, timeout_seconds, key):
        self.asked.append(request)
        self.keys.append(key)
        said = self.ready.popleft() if self.ready else Said()
        if isinstance(said, BaseException):
            raise said
        for word in said.text.split(" ") if said.text else ():
            await asyncio.sleep(said.drip_seconds)
            yield TextDelta(word if word == said.text.split(" ")[-1] else word + " ")
        if said.cut:
            raise said.cut
        for call in said.calls:
            yield call
        if said.usage is not None:
            yield said.usage
        if said.end:
            yield Finished(said.reason, model=f"{request.model}-2026", request_id="req_1")


class Vectors(Embedder):
    name, dimension, endpoint, free = "one:vectors", 2, "https://vectors.example", False
    price_list = ""

    def __init__(self) -> None:
        self.ready: deque[Any] = deque()
        self.batches: list[list[str]] = []

    async def embed(self, texts, *, purpose, timeout_seconds, key):
        self.batches.append(list(texts))
        answer = self.ready.popleft() if self.ready else None
        if isinstance(answer, BaseException):
            raise answer
        return answer or Embedded([[1.0, 0.0]] * len(texts), len(texts) * 3)


@dataclass
class House:
    """Everything to call models with."""

    models: Models
    one: Scripted
    two: Scripted
    vectors: Vectors
    clock: Any
    door: Any
    secrets: dict[str, str] = field(default_factory=dict)

    def caller(self, **values: Any) -> ModelCaller:
        base = ModelCaller(
            workspace="default",
            deadline_at=self.clock.now() + timedelta(seconds=60),
            bot_id="bot_1",
            bot="digest",
            execution_id="exe_01jd0000000000000000000000",
            step="ask",
        )
        return replace(base, **{"asked": {}, **values})

    async def ask(self, prompt="Well?", *, model="one:plain", fallback=(), on_text=None, **values):
        asked = {
            name: values.pop(name) for name in list(values) if name in CompletionRequest.__slots__
        }
        request = CompletionRequest(model, [ModelMessage("user", prompt)], **asked)
        caller = values.pop("caller", None) or self.caller(**values)
        return await self.models.gateway.complete(
            caller, request, fallback=fallback, on_text=on_text
        )

    async def attempts(self) -> list[ModelAttemptRow]:
        return await self.door.read(
            lambda: list(ModelAttemptRow.select().order_by(ModelAttemptRow.id))
        )

    async def budgets(self) -> dict[str, tuple[int, int]]:
        rows = await self.door.read(lambda: list(BudgetRow.select()))
        return {row.key: (row.spent_nano, row.reserved_nano) for row in rows}

    async def in_balance(self) -> None:
        """Nothing is reserved, and each budget has spent what its attempts cost."""
        rows = await self.attempts()
        for key, (spent, reserved) in (await self.budgets()).items():
            assert reserved == 0, key
            assert spent == sum(row.cost_nano for row in rows if f'"{key}"' in row.budgets), key


PRICES = {
    "one:*": Price(Decimal(10), Decimal(50)),
    "two:*": Price(Decimal(1), Decimal(5)),
}


def make(door, clock, folder: Path, *, caps=None, prices=None, rules=None, board=None) -> House:
    able = CAPABILITIES - {"schema", "tool_choice", "json"}
    one = Scripted(
        "one",
        [
            ModelInfo("plain", 10_000, able, 4000),
            ModelInfo("strict", 10_000, CAPABILITIES),
            ModelInfo("blind", 10_000, frozenset()),
        ],
        secret="ONE_KEY",
    )
    two, vectors = Scripted("two", [ModelInfo("plain", None, able)]), Vectors()
    secrets: dict[str, str] = {}

    async def secret(workspace: str, name: str) -> str | None:
        return secrets.get(name)

    models = Models(
        door=door,
        clock=clock,
        components=Components.of(llm_providers=[one, two], embedders=[vectors]),
        payloads=PayloadStore(folder / "payloads", 1000),
        board=lambda: board or LocalBoard(),
        secret=secret,
        caps=caps or Caps(month_nano=nano(100.0)),
        prices=prices or Prices(PRICES),
        rules=rules or Rules(call_seconds=30.0),
    )
    return House(models, one, two, vectors, clock, door, secrets)


@pytest.fixture
def make_house(door, manual_clock, tmp_path):
    return lambda **more: make(door, manual_clock, tmp_path, **more)


@pytest.fixture
def house(make_house) -> House:
    return make_house()


@pytest.fixture
def said():
    return Said
