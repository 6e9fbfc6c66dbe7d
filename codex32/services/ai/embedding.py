"""Vectors from services that fail, answer too little, and mix things up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from codex32.kernel.contracts.embedder import Embedded, EmbeddingPurpose, Vector
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.llm import Usage
from codex32.kernel.model_errors import ModelFault
from codex32.services.ai.sendable import whole
from codex32.services.ai.targets import EmbedderTarget
from codex32.services.ai.verdicts import VERDICTS, fault_of, in_hand, money, pause_seconds
from codex32.services.ai.windows import can_be_halved, halves, mean, windows

if TYPE_CHECKING:
    from codex32.services.ai.gateway import Parts

#: Texts in one request, and the bytes that these may have together unless it is one alone.
BATCH, BATCH_BYTES = 256, 200_000


class Embedding:
    """Texts of one caller for one embedder."""

    def __init__(
        self, parts: Parts, caller: ModelCaller, target: EmbedderTarget, purpose: EmbeddingPurpose
    ) -> None:
        self._parts, self._caller, self._target = parts, caller, target
        self._purpose = purpose

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text, in order.

        Raises:
          ModelFault: The embedder gives none, also when asked again.
          BudgetExceeded: It may cost too much.
        """
        cut = [windows(whole(text), self._target.embedder.context_tokens) for text in texts]
        vectors: list[Vector] = []
        for batch in _batches([window for parts in cut for window in parts]):
            vectors += await self._batch(batch)
        left = iter(vectors)
        return [mean(parts, [next(left) for _ in parts]) for parts in cut]

    async def _batch(self, texts: Sequence[str]) -> Sequence[Vector]:
        try:
            return await self._tried(texts)
        except ModelFault as fault:
            # A service's own limits are smaller than ours: half as much may pass.
            too_long = fault.kind == "context_too_long" and can_be_halved(texts[0])
            if len(texts) == 1 and not too_long:
                raise
            if fault.kind != "context_too_long" and not self._too_slow(fault):
                raise
        if len(texts) == 1:
            parts = halves(texts[0])
            return [mean(parts, await self._batch(parts))]
        half = len(texts) // 2
        return [*await self._batch(texts[:half]), *await self._batch(texts[half:])]

    async def _tried(self, texts: Sequence[str]) -> Sequence[Vector]:
        for last in (False, False, True):
            try:
                return await self._once(texts)
            except ModelFault as fault:
                pause = pause_seconds(fault, self._left())
                again = VERDICTS[fault.kind].again and not self._too_slow(fault)
                if last or not again or pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError

    def _too_slow(self, fault: ModelFault) -> bool:
        """Whether this machine could not do it in time: it would not at another try either."""
        return fault.kind == "timeout" and not self._target.embedder.endpoint and self._left() > 0

    async def _once(self, texts: Sequence[str]) -> Sequence[Vector]:
        parts, target = self._parts, self._target
        seconds = min(parts.rules.call_seconds, self._left())
        if seconds <= 0:
            raise ModelFault("timeout", "no time is left for another request")
        if not target.embedder.endpoint:  # it is at home: nobody bills, and nothing can be down
            try:
                return _checked(await self._asked(texts, seconds), texts, target)
            except Exception as error:
                raise fault_of(error) from None
        rest = await parts.breakers.rest(target.deployment, probe_seconds=seconds + 1)
        if rest is not None:
            raise rest.fault(target.name)
        size = sum(len(text.encode()) for text in texts)
        most = Usage(math.ceil(size / 2) + 8 * len(texts), 0)
        ticket = await parts.till.open(self._caller, target.name, target.tariff, most, seconds)
        try:
            try:
                embedded = await self._asked(texts, seconds)
                tokens = _sane(embedded.input_tokens, texts)
                usage = None if tokens is None else Usage(tokens, 0)
                state = "assumed" if usage is None else "settled"
                await ticket.settle(replace(ticket.ending(state), usage=usage))  # type: ignore[arg-type]
                vectors = _checked(embedded, texts, target)
            except Exception as error:
                fault = fault_of(error)
                await ticket.settle(ticket.ending(money(fault), fault=fault.kind))
                await parts.breakers.failed(target.deployment, fault)
                message = fault.message.replace(target.key or "\0", "********")
                raise ModelFault(
                    fault.kind,
                    f"{target.name}: {message}"[:500],
                    status=fault.status,
                    retry_after_seconds=fault.retry_after_seconds,
                    billed=fault.billed,
                ) from None
        finally:
            ticket.leave()
        await parts.breakers.succeeded(target.deployment)
        return vectors

    async def _asked(self, texts: Sequence[str], seconds: float) -> Embedded:
        target = self._target
        async with asyncio.timeout(seconds):
            return await target.embedder.embed(
                texts, purpose=self._purpose, timeout_seconds=in_hand(seconds), key=target.key
            )

    def _left(self) -> float:
        return (self._caller.deadline_at - self._parts.clock.now()).total_seconds()


def _batches(texts: Sequence[str]) -> list[list[str]]:
    batches: list[list[str]] = []
    size = 0
    for text in texts:
        weight = len(text.encode())
        if not batches or len(batches[-1]) == BATCH or size + weight > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(text)
        size += weight
    return batches


def _sane(tokens: object, texts: Sequence[str]) -> int | None:
    """What was counted; None where it cannot be: no text that says anything has no token."""
    least = sum(bool(text.strip()) for text in texts)
    return tokens if type(tokens) is int and least <= tokens < 1 << 40 else None


def _checked(embedded: Embedded, texts: Sequence[str], target: EmbedderTarget) -> Sequence[Vector]:
    """The vectors, if they are as many, as long and as finite as they must be."""
    vectors, dimension = embedded.vectors, target.embedder.dimension
    if len(vectors) != len(texts):
        raise ModelFault(
            "malformed", f"{len(vectors)} vectors came for {len(texts)} texts", billed="yes"
        )
    for vector in vectors:
        if len(vector) != dimension:
            told = f"a vector of {len(vector)} numbers came instead of {dimension}"
            raise ModelFault("malformed", told, billed="yes")
        if not all(map(math.isfinite, vector)):
            raise ModelFault("malformed", "a vector came that is not finite", billed="yes")
    return vectors
