"""Answers that fit a schema: asked for in the strictest way a model knows, then checked.

The ladder has four rungs: the service keeps the schema (``schema``); the answer is the argument of
a tool that must be called (``tool``); the service promises JSON (``json``); nobody promises
anything (``prompt``). A model that refuses a rung is asked on the next one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from codex32.engine.values.validation import Validator
from codex32.kernel.contracts.llm import CompletionRequest, ModelInfo, ModelMessage, Tool
from codex32.kernel.foreign_json import is_deep
from codex32.kernel.json_values import JSON, dumps
from codex32.services.ai.answer import Answer
from codex32.services.ai.sendable import whole

Rung: TypeAlias = Literal["schema", "tool", "json", "prompt"]
RUNGS: tuple[Rung, ...] = ("schema", "tool", "json", "prompt")
_NEEDS = {"schema": "schema", "tool": "tool_choice", "json": "json"}
_TOOL = "answer"
_FENCE = re.compile(r"```[a-zA-Z]*+[^\S\n]*+\n(.*?)```", re.DOTALL)
#: Faults that are told to a model, and characters of its last answer that it is shown.
_MOST_FAULTS, _MOST_SHOWN = 20, 20_000


class Unfit(Exception):
    """An answer that does not fit; ``faults`` say where, in words a model can act on."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def rungs_of(info: ModelInfo | None, *, with_tools: bool) -> list[Rung]:
    """The rungs a model is asked on, from the first to the last.

    Args:
      info: What is known of it; where nothing is, all are tried.
      with_tools: The request has tools of its own, beside which no other can be forced.
    """
    able = None if info is None else info.capabilities
    rungs = [r for r in RUNGS if r == "prompt" or able is None or _NEEDS[r] in able]
    return [rung for rung in rungs if not (with_tools and rung == "tool")]


@dataclass(frozen=True)
class Form:
    """A schema, and how answers are asked for and read by it."""

    schema: Mapping[str, Any]

    @property
    def _wrapped(self) -> bool:
        """Services take objects alone: anything else is asked for as the value of one."""
        return self.schema.get("type") != "object"

    @property
    def sent(self) -> Mapping[str, Any]:
        """The schema as services get it."""
        if not self._wrapped:
            return self.schema
        definitions = {
            key: self.schema[key] for key in ("$defs", "definitions") if key in self.schema
        }
        inner = {key: each for key, each in self.schema.items() if key not in definitions}
        return {
            "type": "object",
            "properties": {"value": inner},
            "required": ["value"],
            "additionalProperties": False,
            **definitions,
        }

    def asked(self, request: CompletionRequest, rung: Rung) -> CompletionRequest:
        """The request on a rung."""
        match rung:
            case "schema":
                return replace(request, schema=self.sent)
            case "tool":
                tool = Tool(_TOOL, "Give the answer.", self.sent)
                return replace(request, schema=None, tools=(tool,), tool_choice=_TOOL)
        told = replace(request, schema=None, json=rung == "json")
        words = (
            "Answer with one JSON object and nothing else, no prose and no fence. "
            f"It must fit this JSON Schema:\n{dumps(dict(self.sent))}"
        )
        return replace(told, messages=with_system(request.messages, words))

    def read(self, answer: Answer, rung: Rung) -> JSON:
        """The value of an answer.

        Raises:
          Unfit: It is no JSON, or does not fit.
        """
        if rung == "tool" and answer.tool_calls:
            call = answer.tool_calls[0]
            if call.invalid is not None:
                raise Unfit([f"the arguments are no JSON object: {call.invalid[:200]}"])
            value: JSON = dict(call.arguments)
        else:
            value = _parsed(answer.text)
        if self._wrapped:
            if isinstance(value, dict) and set(value) == {"value"}:
                value = value["value"]
            elif rung in ("schema", "tool"):
                raise Unfit(["it must be an object with the one key 'value'"])
        return self.checked(value)

    def checked(self, value: JSON) -> JSON:
        """The value, if it fits.

        Raises:
          Unfit: It does not.
        """
        found = Validator(self.schema).findings(value)
        if found:
            raise Unfit([f"{_place(each.path)}: {each.message}" for each in found[:_MOST_FAULTS]])
        return value


def repaired(
    request: CompletionRequest, answer: Answer, faults: Sequence[str]
) -> CompletionRequest:
    """The request once more, with the last answer and what is wrong with it.

    Whatever was tried before is left out, so that a request does not grow with its repairs; and it
    ends with the user, since newer models take no answer that was begun for them.
    """
    said = answer.text or dumps([dict(call.arguments) for call in answer.tool_calls])
    told = "\n".join(f"- {fault}" for fault in faults)
    words = (
        f"Your answer was:\n{said[:_MOST_SHOWN]}\n\nIt does not fit:\n{told}\n\n"
        "Answer again, wholly, and mend this."
    )
    more = ModelMessage("user", whole(words))  # half a character may be in the answer
    return replace(request, messages=(*request.messages, more))


def with_system(messages: Sequence[ModelMessage], words: str) -> Sequence[ModelMessage]:
    """The messages with more for the system to know."""
    if messages and messages[0].role == "system":
        first = messages[0]
        return (replace(first, text=f"{first.text}\n\n{words}"), *messages[1:])
    return (ModelMessage("system", words), *messages)


def _parsed(text: str) -> JSON:
    """The JSON of an answer: all of it, what stands in a fence, or where it begins with one.

    Braces further in are not looked for: of a torn answer they would give a part for the whole.
    """
    stripped = text.strip()
    fence = _FENCE.search(stripped)
    candidates = [stripped, fence.group(1).strip() if fence else ""]
    if not fence and (start := stripped.find("{")) > 0:
        candidates.append(stripped[start:])
    for candidate in candidates:
        try:
            if candidate[:1] in ("{", "["):
                value, _ = _decoder.raw_decode(candidate)
            else:
                value = _decoder.decode(candidate)
        except (ValueError, RecursionError):
            continue
        if is_deep(value):
            raise Unfit(["it holds more lists and objects inside each other than anybody reads"])
        return value
    raise Unfit(["it is no JSON"])


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no JSON")
    return number


_decoder = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _place(path: Sequence[Any]) -> str:
    text = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return text.lstrip(".") or "the whole"
