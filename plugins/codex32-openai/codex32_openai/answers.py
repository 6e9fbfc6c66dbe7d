"""From what the service sends to the events of the house; nothing in it is taken on trust."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from codex32 import (
    CallParts,
    CompletionEvent,
    Finished,
    TextDelta,
    Usage,
    malformed_answer,
    token_count,
)

_REASONS: Mapping[str, Literal["stop", "length", "tools", "refused"]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tools",
    "function_call": "tools",
    "content_filter": "refused",
}


@dataclass(slots=True)
class Answer:
    """What has come so far of one answer, of a stream's chunks or whole.

    Attributes:
      service: Its name, for faults.
      request_id: What the service calls this call.
    """

    service: str
    request_id: str = ""
    _model: str = ""
    _finish: str | None = None
    _refusal: str = ""
    _usage: Usage | None = None
    _calls: dict[int, CallParts] = field(default_factory=dict)

    def chunk(self, told: Any) -> Iterator[CompletionEvent]:
        """The events that one chunk of a stream brings.

        Raises:
          ModelFault: ``malformed``: it is no chunk.
        """
        yield from self._part(told, "delta")

    def whole(self, told: Any) -> Iterator[CompletionEvent]:
        """The events of an answer that came whole.

        Raises:
          ModelFault: ``malformed``: it is no answer.
        """
        if not isinstance(told, dict) or not told.get("choices"):
            raise malformed_answer(self.service, "there is no choice in it")
        yield from self._part(told, "message")
        yield from self.end()

    def end(self) -> Iterator[CompletionEvent]:
        """The events that come after all text: tool calls, usage, the end.

        Raises:
          ModelFault: ``malformed``: it broke off before it said why it ended.
        """
        if self._finish is None:
            raise malformed_answer(self.service, "it stopped before its end")
        for _, call in sorted(self._calls.items()):
            yield call.whole()
        if self._usage is not None:
            yield self._usage
        reason = _REASONS.get(self._finish, "stop")
        if self._refusal:
            reason = "refused"
        elif self._calls and reason == "stop":
            reason = "tools"
        detail = self._refusal or ("a filter of the service" if reason == "refused" else "")
        yield Finished(reason, detail=detail, model=self._model, request_id=self.request_id)

    def _part(self, told: Any, name: str) -> Iterator[CompletionEvent]:
        if not isinstance(told, dict):
            raise malformed_answer(self.service, "a part of it is no object")
        if isinstance(told.get("model"), str):
            self._model = told["model"]
        if (usage := read_usage(told.get("usage"))) is not None:
            self._usage = usage
        choices = told.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        said = choice.get(name)
        if isinstance(said, dict):
            if isinstance(refusal := said.get("refusal"), str):
                self._refusal += refusal
            self._take_calls(said.get("tool_calls"))
            if isinstance(text := said.get("content"), str) and text:
                yield TextDelta(text)
        if isinstance(finish := choice.get("finish_reason"), str):
            self._finish = finish

    def _take_calls(self, told: Any) -> None:
        for place, part in enumerate(told if isinstance(told, list) else ()):
            function = part.get("function") if isinstance(part, dict) else None
            if not isinstance(function, dict):
                raise malformed_answer(self.service, "a tool call in it is none")
            # Some servers leave the index out, and send each call whole.
            index = token_count(part.get("index"))
            if index is None:
                index = place if part.get("id") is None else len(self._calls)
            call = self._calls.setdefault(index, CallParts())
            call.id = call.id or str(part.get("id") or f"call_{index}")
            call.name = call.name or str(function.get("name") or "")
            arguments = function.get("arguments")
            if isinstance(arguments, dict):
                arguments = json.dumps(arguments)
            call.arguments += arguments or ""


def read_usage(told: Any) -> Usage | None:
    """Usage as the service tells it; None where it tells none, or what cannot be true."""
    if not isinstance(told, dict):
        return None
    prompt, answer = (
        token_count(told.get("prompt_tokens")),
        token_count(told.get("completion_tokens")),
    )
    if prompt is None or answer is None:
        return None
    before = told.get("prompt_tokens_details") or {}
    after = told.get("completion_tokens_details") or {}
    cached = _detail(before, "cached_tokens")
    written = _detail(before, "cache_write_tokens")
    reasoning = _detail(after, "reasoning_tokens")
    if cached is None or written is None or reasoning is None:
        return None
    if cached + written > prompt or reasoning > answer:
        return None
    return Usage(prompt, answer, cached, written, reasoning)


def _detail(told: Any, name: str) -> int | None:
    """A detail that may be left out; None where it is nonsense."""
    value = told.get(name) if isinstance(told, dict) else None
    return 0 if value is None else token_count(value)
