"""From a request to its answer: key, request, turn, wire, bytes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from codex32_testing.model_server import anthropic_wire, carrying, embeddings, openai_wire
from codex32_testing.model_server.errors import ERRORS, WireError, bad, no_key, wrong_key
from codex32_testing.model_server.log import Asked
from codex32_testing.model_server.script import Script
from codex32_testing.model_server.speech import count, speak
from codex32_testing.model_server.turns import Said, Tokens, Turn

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
MODELS = "/v1/models"
_POSTS = (CHAT, EMBEDDINGS, MESSAGES, COUNT)


class Handler:
    """Answers requests of one server and writes them down.

    Attributes:
      asked: What came in, in order.
      keys: That are accepted; an empty set accepts requests without any key.
      models: The names that are known; None knows every name.
    """

    def __init__(self, keys: set[str], models: Sequence[str] | None) -> None:
        self.asked: list[Asked] = []
        self.keys = keys
        self.models = models
        self.script = Script()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        raw = await request.content.read()  # of any size, unlike what the request itself reads
        body = _json(raw)
        model = str(body.get("model", "")) if isinstance(body, dict) else ""
        headers = {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() not in ("authorization", "x-api-key")
        }
        asked = Asked(len(self.asked) + 1, request.path, model, body, headers, time.monotonic())
        self.asked.append(asked)
        try:
            answer = await self._answer(request, asked)
            asked.ended = "answered"
            return answer
        except carrying.ConnectionCut:
            asked.ended = "cut"
        except ConnectionError:
            asked.ended = "left"
        except asyncio.CancelledError:
            asked.ended = "left"
            raise
        finally:
            asked.ended_at = time.monotonic()
        return web.Response()  # nobody reads it

    async def _answer(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        if fault := self._refused(request, asked):
            return await self._send_error(request, asked, fault, Turn())
        if asked.path == MODELS:
            return await self._send(request, asked, Turn(), self._models(request))
        turn = self.script.take(asked.path, asked.model, asked.body)
        await carrying.wait(request, turn.carriage)
        if turn.body is not None:
            self._bill(asked, turn)
            asked.status = turn.status or 200
            return await carrying.send_whole(
                request,
                turn.carriage,
                status=asked.status,
                headers={"Content-Type": turn.content_type, **turn.headers},
                body=turn.body.encode(),
            )
        if turn.error is not None:
            return await self._send_error(request, asked, ERRORS[turn.error], turn)
        if asked.path == COUNT:
            value = {"input_tokens": anthropic_wire.tokens_of(asked.body)}
            return await self._send(request, asked, turn, value)
        self._bill(asked, turn)
        if asked.path == EMBEDDINGS:
            return await self._send(request, asked, turn, embeddings.answer(asked.body, turn))
        return await self._speak(request, asked, turn)

    def _refused(self, request: web.BaseRequest, asked: Asked) -> WireError | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        given = given or request.headers.get("x-api-key", "")
        if self.keys and not given:
            return no_key()
        if self.keys and given not in self.keys:
            return wrong_key(given)
        if asked.path == MODELS and request.method == "GET":
            return None
        if asked.path not in _POSTS or request.method != "POST":
            return WireError(
                404,
                f"Invalid URL ({request.method} {asked.path})",
                anthropic_type="not_found_error",
            )
        body = asked.body
        if not isinstance(body, dict):
            return bad("We could not parse the JSON body of your request.")
        if not asked.model:
            return bad("you must provide a model parameter", param="model")
        if self.models is not None and asked.model not in self.models:
            return WireError(
                404,
                f"The model `{asked.model}` does not exist or you do not have access to it.",
                code="model_not_found",
                anthropic_type="not_found_error",
            )
        if asked.path == EMBEDDINGS:
            return embeddings.check(body)
        if asked.path == CHAT:
            return openai_wire.check(body)
        if "anthropic-version" not in asked.headers:
            return bad("anthropic-version: header is required")
        return anthropic_wire.check(body, counting=asked.path == COUNT)

    def _bill(self, asked: Asked, turn: Turn) -> None:
        """Whatever was generated is paid for; a broken proxy's page of HTML comes after that."""
        if turn.body is not None and 400 <= (turn.status or 200) < 500:
            return
        if asked.path == EMBEDDINGS:
            texts = embeddings.texts(asked.body)
            asked.billed = Tokens(fresh=sum(map(count, texts)))
        elif asked.path in (CHAT, MESSAGES):
            asked.billed = self._said(asked, turn).tokens

    def _said(self, asked: Asked, turn: Turn) -> Said:
        wire = openai_wire if asked.path == CHAT else anthropic_wire
        last, prompt, schema, limit = wire.prompt(asked.body)
        return speak(
            turn,
            number=asked.number,
            model=asked.model,
            last=last,
            prompt=max(1, prompt),
            schema=schema,
            limit=limit,
        )

    async def _speak(
        self, request: web.BaseRequest, asked: Asked, turn: Turn
    ) -> web.StreamResponse:
        wire = openai_wire if asked.path == CHAT else anthropic_wire
        said = self._said(asked, turn)
        if not asked.body.get("stream"):
            return await self._send(request, asked, turn, wire.whole(said))
        asked.status = 200
        return await carrying.send_events(
            request,
            turn.carriage,
            headers={**_names(asked), **turn.headers},
            events=wire.events(said, asked.body),
            error=wire.error_event(ERRORS["overloaded"]),
        )

    async def _send(
        self, request: web.BaseRequest, asked: Asked, turn: Turn, value: Mapping[str, Any]
    ) -> web.StreamResponse:
        asked.status = turn.status or 200
        return await carrying.send_whole(
            request,
            turn.carriage,
            status=asked.status,
            headers={"Content-Type": "application/json", **_names(asked), **turn.headers},
            body=json.dumps(value).encode(),
        )

    async def _send_error(
        self, request: web.BaseRequest, asked: Asked, error: WireError, turn: Turn
    ) -> web.StreamResponse:
        anthropic = asked.path in (MESSAGES, COUNT)
        own = error.anthropic_status if anthropic else None
        asked.status = turn.status or own or error.status
        value = error.anthropic(f"req_{asked.number}") if anthropic else error.openai()
        return await carrying.send_whole(
            request,
            turn.carriage,
            status=asked.status,
            headers={"Content-Type": "application/json", **_names(asked), **turn.headers},
            body=json.dumps(value).encode(),
        )

    def _models(self, request: web.BaseRequest) -> dict[str, Any]:
        names = self.models or ()
        if "anthropic-version" in request.headers:
            return anthropic_wire.models(names)
        return openai_wire.models(names)


def _names(asked: Asked) -> dict[str, str]:
    """The request's id, under the name that each wire gives it."""
    return {"x-request-id": f"req_{asked.number}", "request-id": f"req_{asked.number}"}


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
