"""The one door to models, as steps and the services above them use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from codex32.kernel.contracts.embedder import EmbeddingPurpose, Vector
from codex32.kernel.contracts.llm import Completion, CompletionRequest


@dataclass(frozen=True, slots=True)
class Payer:
    """An execution that had another one started, and what it may spend (``allow.spend_usd``)."""

    execution_id: str
    bot_id: str
    spend_usd: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelCaller:
    """On whose behalf models are called: whom it is booked to, and what it may.

    Attributes:
      workspace: Id of the workspace that pays.
      models: Names it may use, as in ``allow.models``; None where nothing limits it.
      spend_usd: Limits of its own, as in ``allow.spend_usd``: US dollars by ``execution day
        month``.
      payers: Those who had the execution started, the first of them first: what it spends counts
        against their limits as well.
      deadline_at: When whoever asks stops waiting.
      execution_id: The execution it is for; None where a person or the house asks.
      answers_of: The execution under whose id its answers are kept; None: under its own.
      step: The step, and within ``foreach`` the item; what it bought it is given again.
      asked: Which answers to each request this try of the step has had, counted from 0; the
        gateway notes them here.
      purpose: What it is for where no bot asks, such as ``collection docs``.
    """

    workspace: str
    deadline_at: datetime
    bot_id: str | None = None
    bot: str = ""
    execution_id: str | None = None
    answers_of: str | None = None
    step: str = ""
    item: int | None = None
    models: Sequence[str] | None = None
    spend_usd: Mapping[str, float] = field(default_factory=dict)
    payers: Sequence[Payer] = ()
    asked: dict[str, set[int]] = field(default_factory=dict)
    purpose: str = ""


class ModelGateway(ABC):
    """Calls models and embedders: limits, retries, falls back, books."""

    @abstractmethod
    async def complete(
        self,
        caller: ModelCaller,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """As ``StepContext.complete``, for this caller."""

    @abstractmethod
    async def embed(
        self,
        caller: ModelCaller,
        texts: Sequence[str],
        *,
        embedder: str,
        purpose: EmbeddingPurpose = "document",
    ) -> Sequence[Vector]:
        """As ``StepContext.embed``, for this caller."""
