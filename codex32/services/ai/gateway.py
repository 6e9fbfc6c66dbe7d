"""The one door to models: here chains, retries, breakers, budgets and journal come together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codex32.kernel.clock import Clock
from codex32.kernel.contracts.embedder import EmbeddingPurpose, Vector
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.llm import Completion, CompletionRequest
from codex32.kernel.errors import StepFault
from codex32.kernel.model_errors import BudgetExceeded, ModelFault, PriceUnknown
from codex32.services.ai.breakers import Breakers
from codex32.services.ai.calling import Call
from codex32.services.ai.embedding import Embedding
from codex32.services.ai.journal import Journal
from codex32.services.ai.memory import Memory
from codex32.services.ai.targets import Targets
from codex32.services.ai.till import Till
from codex32.services.ai.verdicts import VERDICTS


@dataclass(frozen=True, slots=True)
class Rules:
    """How models are called.

    Attributes:
      call_seconds: The longest that one request may take.
      max_tokens: Of an answer, where the request does not say.
      repairs: How often an answer that does not fit its schema is asked for again.
    """

    call_seconds: float = 120.0
    max_tokens: int = 4096
    repairs: int = 2


@dataclass
class Parts:
    """What calls are made with."""

    targets: Targets
    till: Till
    journal: Journal
    breakers: Breakers
    clock: Clock
    rules: Rules
    memory: Memory


class Gateway(ModelGateway):
    """Calls models and embedders for everybody in the house."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def complete(
        self,
        caller: ModelCaller,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask the models of a chain, one after the other, until one answers."""
        names = list(dict.fromkeys((request.model, *fallback)))
        # What may not be used is refused before anything is paid.
        chain = [self._parts.targets.named(caller, name) for name in names]
        call = Call(self._parts, caller, request, on_text)
        failures: list[tuple[str, StepFault]] = []
        for named in await call.resumed(chain):
            try:
                return await call.ask(await self._parts.targets.ready(caller, named))
            except (BudgetExceeded, PriceUnknown) as refusal:  # another may be cheaper
                failures.append((named.name, refusal))
            except ModelFault as fault:
                failures.append((named.name, fault))
                if call.begun or not VERDICTS[fault.kind].next:
                    break
        # Answers that led nowhere are not what a retry is to be given.
        await self._parts.journal.forget(call.bought)
        raise _all_failed(failures)

    async def embed(
        self,
        caller: ModelCaller,
        texts: Sequence[str],
        *,
        embedder: str,
        purpose: EmbeddingPurpose = "document",
    ) -> Sequence[Vector]:
        """Turn texts into vectors, in batches."""
        target = await self._parts.targets.find_embedder(caller, embedder)
        return await Embedding(self._parts, caller, target, purpose).embed(texts)


def _all_failed(failures: Sequence[tuple[str, StepFault]]) -> StepFault:
    """One fault for a whole chain: it passes if any of its faults does, and as soon as the first.

    A budget counts as the reason only where it alone kept every model from being asked.
    """
    if len(failures) == 1:
        return failures[0][1]
    faults = [fault for _, fault in failures if isinstance(fault, ModelFault)]
    if not faults:
        return failures[0][1]
    told = "; ".join(_named(name, fault.message) for name, fault in failures)
    telling = next((fault for fault in faults if fault.retryable), faults[0])
    waits = [f.retry_after_seconds for f in faults if f.retryable and f.retry_after_seconds]
    return ModelFault(
        telling.kind,
        f"no model answered: {told}",
        status=telling.status,
        retry_after_seconds=min(waits, default=None),
        billed=telling.billed,
    )


def _named(name: str, message: str) -> str:
    return message if message.startswith(name) else f"{name}: {message}"
