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
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tools",
    "refusal": "refused",
}


@dataclass(slots=True)
class Answer:
    """What has come so far of one answer, of a stream's events or whole.

    Attributes:
      service: Its name, for faults.
      request_id: What the service calls this call.
    """

    service: str
    request_id: str = ""
    _model: str = ""
    _stop: str | None = None
    _why: str = ""
    _usage: dict[str, Any] = field(default_factory=dict)
    _calls: dict[int, CallParts] = field(default_factory=dict)
    _given: dict[int, str] = field(default_factory=dict)

    def event(self, told: Any) -> Iterator[CompletionEvent]:
        """The events that one event of a stream brings.

        Raises:
          ModelFault: ``malformed``: it is none.
        """
        if not isinstance(told, dict):
            raise malformed_answer(self.service, "a part of it is no object")
        match told.get("type"):
            case "message_start":
                self._take_head(told.get("message"))
            case "content_block_start":
                yield from self._open(told.get("index"), told.get("content_block"))
            case "content_block_delta":
                yield from self._extend(told.get("index"), told.get("delta"))
            case "message_delta":
                self._take_stop(told.get("delta"))
                self._take_usage(told.get("usage"))

    def whole(self, told: Any) -> Iterator[CompletionEvent]:
        """The events of an answer that came whole.

        Raises:
          ModelFault: ``malformed``: it is no answer.
        """
        if not isinstance(told, dict) or not isinstance(told.get("content"), list):
            raise malformed_answer(self.service, "there is no content in it")
        self._take_head(told)
        self._take_stop(told)
        for place, block in enumerate(told["content"]):
            yield from self._open(place, block)
        yield from self.end()

    def end(self) -> Iterator[CompletionEvent]:
        """The events that come after all text: tool calls, usage, the end.

        Raises:
          ModelFault: ``malformed``: it broke off before it said why it ended.
        """
        if self._stop is None:
            raise malformed_answer(self.service, "it stopped before its end")
        for place, call in sorted(self._calls.items()):
            # Some gateways give the arguments whole where a call begins, and no pieces of them.
            call.arguments = call.arguments or self._given.get(place, "")
            yield call.whole()
        if (usage := read_usage(self._usage)) is not None:
            yield usage
        reason = _REASONS.get(self._stop, "stop")
        detail = self._why or "a filter of the service" if reason == "refused" else ""
        yield Finished(reason, detail=detail, model=self._model, request_id=self.request_id)

    def _take_head(self, told: Any) -> None:
        if not isinstance(told, dict):
            raise malformed_answer(self.service, "it has no head")
        if isinstance(told.get("model"), str):
            self._model = told["model"]
        self._take_usage(told.get("usage"))

    def _take_usage(self, told: Any) -> None:
        """Counts are told at the start and at the end; the later ones hold."""
        if isinstance(told, dict):
            later = {name: value for name, value in told.items() if value is not None}
            missing = {name: None for name in ("output_tokens",) if name in told}
            self._usage.update({**missing, **later})

    def _take_stop(self, told: Any) -> None:
        if not isinstance(told, dict):
            return
        if isinstance(stop := told.get("stop_reason"), str):
            self._stop = stop
        details = told.get("stop_details")
        if isinstance(details, dict) and isinstance(why := details.get("explanation"), str):
            self._why = why

    def _open(self, index: Any, block: Any) -> Iterator[CompletionEvent]:
        place = token_count(index)
        if place is None or not isinstance(block, dict):
            raise malformed_answer(self.service, "a block of it is none")
        if block.get("type") == "text" and isinstance(text := block.get("text"), str) and text:
            yield TextDelta(text)
        elif block.get("type") == "tool_use":
            self._calls[place] = CallParts(str(block.get("id")), str(block.get("name")))
            given = block.get("input")
            if given is not None and given != {}:  # else it comes in pieces, or there is none
                self._given[place] = given if isinstance(given, str) else json.dumps(given)

    def _extend(self, index: Any, delta: Any) -> Iterator[CompletionEvent]:
        if not isinstance(delta, dict):
            raise malformed_answer(self.service, "a part of it is none")
        if delta.get("type") == "text_delta" and isinstance(text := delta.get("text"), str):
            if text:
                yield TextDelta(text)
        elif delta.get("type") == "input_json_delta":
            place = token_count(index)
            if place is None or place not in self._calls:
                raise malformed_answer(self.service, "a tool call in it has no beginning")
            self._calls[place].arguments += str(delta.get("partial_json") or "")


def read_usage(told: Mapping[str, Any]) -> Usage | None:
    """Usage as the house counts it; None where the service tells none, or what cannot be true.

    The service counts tokens of the cache beside those of the prompt; here they are among them.
    """
    details = told.get("output_tokens_details") or {}
    thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
    fresh, output = token_count(told.get("input_tokens")), token_count(told.get("output_tokens"))
    cached = _optional(told.get("cache_read_input_tokens"))
    written = _optional(told.get("cache_creation_input_tokens"))
    reasoning = _optional(thinking)
    if fresh is None or output is None or cached is None or written is None or reasoning is None:
        return None
    if reasoning > output:
        return None
    return Usage(fresh + cached + written, output, cached, written, reasoning)


def _optional(value: Any) -> int | None:
    return 0 if value is None else token_count(value)
