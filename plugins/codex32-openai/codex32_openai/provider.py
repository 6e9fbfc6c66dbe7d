"""Language models on the wire of ``/v1/chat/completions``.

That wire, and not the newer ``/v1/responses``, since every compatible server speaks it.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from codex32 import (
    CompletionEvent,
    CompletionRequest,
    LLMProvider,
    ModelInfo,
    in_time,
    malformed_answer,
)
from codex32_openai.answers import Answer
from codex32_openai.clients import client_of, with_key
from codex32_openai.faults import fault_of
from codex32_openai.requests import arguments
from codex32_openai.settings import Endpoint

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAIProvider(LLMProvider):
    """The models of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Serve an endpoint; nothing is imported or connected before the first call."""
        self.name = endpoint.name
        self.secret = endpoint.secret
        self.endpoint = endpoint.base_url
        self.price_list = endpoint.price_list
        self.free = endpoint.free
        self._told = endpoint
        self._clients = client_of(endpoint)

    def models(self) -> Sequence[ModelInfo]:
        """Those of the catalogue and of the settings."""
        return self._told.models

    async def complete(
        self, request: CompletionRequest, *, timeout_seconds: float, key: str | None
    ) -> AsyncIterator[CompletionEvent]:
        """Ask once."""
        begun_at = time.monotonic()
        given = arguments(request, self._told)
        client = await self._clients.get(timeout_seconds, self.name)
        left = timeout_seconds - (time.monotonic() - begun_at)
        stream = self._ask(with_key(client, self._told, key, left), given, key)
        async with aclosing(in_time(stream, left, service=self.name)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """Close connections."""
        await self._clients.close()

    async def _ask(
        self, client: AsyncOpenAI, given: dict[str, Any], key: str | None
    ) -> AsyncIterator[CompletionEvent]:
        response = None
        try:
            raw = await client.chat.completions.with_raw_response.create(**given)
            response = raw.http_response
            answer = Answer(self.name, request_id=response.headers.get("x-request-id", ""))
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                async for chunk in raw.parse():
                    for event in answer.chunk(_plain(chunk)):
                        yield event
                for event in answer.end():
                    yield event
            else:
                # Asked for a stream, some servers answer at once, and broken ones anything.
                for event in answer.whole(json.loads(await response.aread())):
                    yield event
        except Exception as error:
            raise fault_of(error, self.name, key) from None
        finally:
            if response is not None:
                await response.aclose()


def _plain(chunk: Any) -> Any:
    """A chunk as plain data; the SDK builds its objects without looking at what is in them."""
    if not hasattr(chunk, "to_dict"):
        raise malformed_answer("the service", "a part of it is no object")
    return chunk.to_dict(mode="python", warnings=False)
