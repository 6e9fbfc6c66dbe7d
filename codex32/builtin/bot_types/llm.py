"""The bot type ``llm``: ask a language model."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from codex32 import (
    JSON,
    Allow,
    BotType,
    Completion,
    CompletionRequest,
    HttpRequest,
    Image,
    ModelMessage,
    Outcome,
    Problem,
    StepContext,
    StepFault,
    Succeeded,
)

_DATA = re.compile(r"data:(image/[a-z0-9.+-]+);base64,(.*)", re.DOTALL)
_SIGNATURES = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
#: Bytes of one picture, and pictures of one request.
_MOST_BYTES, _MOST_IMAGES = 10 * 1024 * 1024, 20
_MODEL = {"type": "string", "pattern": r"^[^:\s]+:\S+$|\$\{\{"}
_SECONDS_TO_FETCH = 30.0
_NANO = 1_000_000_000

#: What every bot type takes that asks a model.
MODEL_PARAMS: dict[str, Any] = {
    "model": {**_MODEL, "description": "provider:model, named in allow.models."},
    "fallback": {
        "type": "array",
        "items": _MODEL,
        "maxItems": 8,
        "description": "Models that are asked in turn where the one before does not answer.",
    },
    "system": {"type": "string", "description": "What the model is to be and to know."},
    "prompt": {"type": "string", "description": "What it is asked."},
    "temperature": {
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "description": "How much chance is in the answer; left out where a model takes none.",
    },
    "max_tokens": {
        "type": "integer",
        "minimum": 1,
        "description": "Tokens of the answer; default: the setting ai.max_tokens.",
    },
    "schema": {"type": "object", "description": "JSON Schema that the answer must fit."},
}
#: What those take besides whose user may have said more than one thing.
TURNS: dict[str, Any] = {
    "messages": {
        "type": "array",
        "minItems": 1,
        "description": "Instead of prompt: the turns so far; the last is the user's.",
        "items": {
            "type": "object",
            "properties": {
                "role": {
                    "enum": ["system", "user", "assistant"],
                    "description": "Whose turn it is.",
                },
                "content": {"type": "string", "description": "What was said."},
            },
            "required": ["role", "content"],
            "additionalProperties": False,
        },
    },
    "images": {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": _MOST_IMAGES,
        "description": "Pictures beside the last turn: https URLs of allowed hosts, or "
        "data:image/png;base64,… texts.",
    },
}


class LlmBotType(BotType):
    """Asks a model, and answers with its text, or with what fits the schema."""

    name = "llm"
    summary = "Ask a language model."
    only_reads = True
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {**MODEL_PARAMS, **TURNS},
        "required": ["model"],
        "additionalProperties": False,
    }

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """Pictures are looked at where they stand; all else is given."""
        return "images" in params

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """One of prompt and messages, and a user who speaks last."""
        return turn_faults(params)

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Ask once; retries and fallbacks are the gateway's."""
        images = await images_of(context, params)
        request = CompletionRequest(
            model=params["model"],
            messages=turns_of(params, images),
            schema=params.get("schema"),
            temperature=params.get("temperature"),
            max_tokens=params.get("max_tokens"),
        )
        completion = await context.complete(request, fallback=params.get("fallback") or ())
        context.log(spoken(completion))
        return Succeeded(completion.text if request.schema is None else completion.value)


def spoken(completion: Completion) -> str:
    """What a call used and cost, for the log."""
    usage = completion.usage
    again = ", bought before" if completion.replayed else ""
    return (
        f"{completion.model} answered: {usage.input_tokens} tokens in, {usage.output_tokens} out, "
        f"{completion.cost_nano_usd / _NANO:.6f} USD{again}"
    )


def turn_faults(params: Mapping[str, JSON]) -> Sequence[Problem]:
    """What is wrong with prompt and messages before their expressions are evaluated."""
    messages = params.get("messages")
    if ("prompt" in params) == (messages is not None):
        return [Problem("write either prompt or messages", "prompt")]
    if isinstance(messages, list) and messages:
        last = messages[-1]
        if isinstance(last, Mapping) and last.get("role") in ("assistant", "system"):
            return [Problem("the last message must be the user's", "messages")]
    return ()


async def images_of(context: StepContext, params: Mapping[str, JSON]) -> list[Image]:
    """The pictures that ``images`` names, fetched where they are URLs."""
    return [await _image(context, each) for each in params.get("images") or ()]


def turns_of(params: Mapping[str, JSON], images: Sequence[Image]) -> list[ModelMessage]:
    """What the model is told: system, and prompt or messages."""
    messages = []
    if system := params.get("system"):
        messages.append(ModelMessage("system", system))
    turns = params.get("messages")
    if turns is None:
        turns = [{"role": "user", "content": params.get("prompt") or ""}]
    messages += [ModelMessage(turn["role"], turn["content"]) for turn in turns]
    last = messages[-1]
    if last.role != "user":
        raise StepFault("the last message must be the user's", code="llm-messages")
    messages[-1] = ModelMessage("user", last.text, images=tuple(images))
    return messages


async def _image(context: StepContext, text: str) -> Image:
    if found := _DATA.fullmatch(text):
        try:
            return Image(found.group(1), base64.b64decode(found.group(2), validate=True))
        except binascii.Error:
            raise StepFault("a picture is no base64", code="llm-image") from None
    if not text.startswith(("https://", "http://")):
        message = "a picture must be an https URL or a text data:image/png;base64,…"
        raise StepFault(message, code="llm-image")
    response = await context.http.send(
        HttpRequest(text, timeout_seconds=_SECONDS_TO_FETCH, max_bytes=_MOST_BYTES)
    )
    if response.status != 200:
        raise StepFault(f"{text} answered {response.status}", code="llm-image")
    for signature, media_type in _SIGNATURES:
        if response.body.startswith(signature):
            return Image(media_type, response.body)
    raise StepFault(f"{text} is no PNG, JPEG, GIF or WebP", code="llm-image")
