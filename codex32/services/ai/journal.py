"""What a step bought is kept with what it cost, and given again when the step is repeated."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.llm import CompletionRequest, ToolCall, Usage
from codex32.kernel.database import Door, fetch
from codex32.kernel.json_values import JSON, canonical
from codex32.kernel.payloads import PayloadMissing, PayloadStore
from codex32.kernel.spending_rows import ModelAnswerRow, ModelAttemptRow
from codex32.services.ai.answer import Answer


def plain(request: CompletionRequest) -> dict[str, JSON]:
    """A request as JSON; pictures stand as their digests."""
    told: dict[str, Any] = {
        name: getattr(request, name)
        for name in request.__dataclass_fields__
        if name not in ("messages", "tools", "schema", "options", "stop")
    }
    told["messages"] = [
        {
            "role": message.role,
            "text": message.text,
            "images": [[i.media_type, hashlib.sha256(i.data).hexdigest()] for i in message.images],
            "calls": [asdict(call) for call in message.tool_calls],
            "answers": message.tool_call_id,
            "failed": message.failed,
        }
        for message in request.messages
    ]
    told["tools"] = [[t.name, t.description, dict(t.schema)] for t in request.tools]
    told["schema"] = None if request.schema is None else dict(request.schema)
    told["options"], told["stop"] = dict(request.options), list(request.stop)
    return told


def key_of(caller: ModelCaller, request: CompletionRequest, turn: int) -> str | None:
    """Under what an answer is kept; None where no execution asks.

    Args:
      caller: Whose step and item.
      request: As the provider gets it.
      turn: How many answers to the same the caller has had before.
    """
    if caller.execution_id is None:
        return None
    kept_under = caller.answers_of or caller.execution_id
    whole: list[JSON] = [kept_under, caller.step, caller.item, turn, plain(request)]
    return hashlib.sha256(canonical(whole).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one answer is kept: it is its caller's while an answer is asked for, and once it came.

    What gave no answer leaves its place to the next try, so that whoever asks again finds all that
    was bought at the places at which it looks.
    """

    key: str
    turn: int
    taken: set[int]

    def __enter__(self) -> None:
        self.taken.add(self.turn)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.taken.discard(self.turn)


def next_place(caller: ModelCaller, request: CompletionRequest) -> Place | None:
    """Where the next answer to a request is kept; None where no execution asks."""
    first = key_of(caller, request, 0)
    if first is None:
        return None
    taken = caller.asked.setdefault(first, set())
    turn = next(turn for turn in itertools.count() if turn not in taken)
    key = first if turn == 0 else key_of(caller, request, turn)
    assert key is not None
    return Place(key, turn, taken)


class Journal:
    """Keeps answers."""

    def __init__(self, door: Door, payloads: PayloadStore) -> None:
        self._door, self._payloads = door, payloads

    async def find(self, key: str) -> tuple[Answer, Usage, int] | None:
        """An answer that was bought, what was used, and what it cost (nano-USD)."""

        def look() -> tuple[str, str, ModelAttemptRow | None] | None:
            row = ModelAnswerRow.get_or_none(ModelAnswerRow.key == key)
            if row is None:
                return None
            attempt = ModelAttemptRow.get_or_none(ModelAttemptRow.id == row.attempt_id)
            return row.execution_id, row.answer, attempt

        found = await self._door.read(look)
        if found is None:
            return None
        execution_id, text, attempt = found
        try:
            value = await asyncio.to_thread(self._payloads.unpack, execution_id, text)
        except PayloadMissing:
            return None
        answer = _answer(value)
        if attempt is None:
            return answer, Usage(0, 0), 0
        usage = Usage(
            attempt.input_tokens,
            attempt.output_tokens,
            attempt.cached_tokens,
            attempt.cache_write_tokens,
            attempt.reasoning_tokens,
        )
        return answer, usage, attempt.cost_nano

    async def kept(self, keys: Collection[str]) -> set[str]:
        """Those of ``keys`` under which an answer is kept."""
        query = ModelAnswerRow.select(ModelAnswerRow.key).where(ModelAnswerRow.key.in_(list(keys)))
        return await self._door.read(lambda: {key for (key,) in fetch(query)})

    async def pack(self, execution_id: str, answer: Answer) -> str:
        """An answer as a row holds it; its file, if it needs one, is durable on return."""
        value = {
            "text": answer.text,
            "calls": [asdict(call) for call in answer.tool_calls],
            "reason": answer.reason,
            "detail": answer.detail,
            "model": answer.model,
        }
        small = self._payloads.pack_small(value)
        if small is not None:
            return small
        return await asyncio.to_thread(self._payloads.pack, execution_id, value)

    async def forget(self, keys: Sequence[str]) -> None:
        """Let answers be bought anew that were of no use, although they were paid."""
        if keys:
            delete = ModelAnswerRow.delete().where(ModelAnswerRow.key.in_(list(keys)))
            await self._door.write(delete.execute)


def _answer(value: Any) -> Answer:
    return Answer(
        text=value["text"],
        tool_calls=tuple(ToolCall(**call) for call in value["calls"]),
        reason=value["reason"],
        detail=value["detail"],
        model=value["model"],
    )
