"""Definitions as bodies: YAML as people write it, or JSON; read and checked, never executed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from codex32.api.conditions import etag
from codex32.api.errors import MediaTypeUnsupported, RequestInvalid
from codex32.api.reading import Strict, parse_json
from codex32.engine.reading.definition import ReadBot, Reader, Reading
from codex32.engine.reading.writing import to_yaml
from codex32.kernel.bot import Bot
from codex32.kernel.contracts.route import ApiRequest, ApiResponse
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.runtime import Runtime
from codex32.services.bots import bots
from codex32.services.bots.bots import Precondition
from codex32.services.bots.written import API, Stored, Written

YAML: str = "application/yaml"
_YAML_TYPES = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})


class MessageQuery(Strict):
    """What is said about a change."""

    message: Annotated[str, StringConstraints(max_length=500)] = Field(
        "", description="Kept with the version."
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """A definition without faults, and its text as it was sent."""

    bot: Bot
    text: str


async def read_bot(request: ApiRequest, reader: Reader, name: str | None = None) -> Sent:
    """The one bot of a body.

    Args:
      request: Its body is raw.
      reader: Knows what is installed.
      name: The bot's, by the address; a definition may leave it out, and must not say otherwise.

    Raises:
      MediaTypeUnsupported: The body is neither YAML nor JSON.
      BodyMalformed: It is no JSON, and says that it is.
      RequestInvalid: It has faults; all of them are told.
    """
    text, reading = await read_bots(request, reader, name=name)
    return Sent(_only(reading, name), text)


async def read_bots(
    request: ApiRequest, reader: Reader, *, name: str | None = None, file: str | None = None
) -> tuple[str, Reading]:
    """The text of a body and what it holds; faults stand in the reading.

    Args:
      request: Its body is raw.
      reader: Knows what is installed.
      name: Of a bot that has none.
      file: What problems call it.

    Raises:
      MediaTypeUnsupported: The body is neither YAML nor JSON.
      BodyMalformed: It is no JSON, and says that it is.
    """
    if request.content_type == "application/json":
        value = parse_json(request.body)
        # JSON has no comments to keep, and people read YAML.
        text = to_yaml(value) if isinstance(value, dict) else ""
        return text, await asyncio.to_thread(_check, value, reader, name)
    if request.content_type not in _YAML_TYPES:
        raise MediaTypeUnsupported(f"send `Content-Type: {YAML}`, or application/json")
    reading = await asyncio.to_thread(reader.read_text, request.body, file=file, default_name=name)
    return request.body.decode(errors="replace"), reading


async def check_bot(document: JSON, reader: Reader, name: str) -> Sent:
    """A definition that was made here, of others that were checked.

    Raises:
      RequestInvalid: It has faults; all of them are told.
    """
    reading = await asyncio.to_thread(_check, document, reader, name)
    return Sent(_only(reading, name), to_yaml(document))


async def store_bot(
    runtime: Runtime,
    request: ApiRequest,
    sent: Sent,
    given: Precondition | None,
    *,
    message: str | None = None,
) -> ApiResponse:
    """Store a definition for whoever asked, and say what came of it.

    Args:
      runtime: The parts.
      request: Its query may hold a message, and its caller becomes the author.
      sent: The definition.
      given: What must hold of the bot, asked inside the write.
      message: Instead of that of the query.
    """
    caller, now = request.caller, runtime.clock.micros()
    written = Written.of(
        sent.bot,
        sent.text,
        API,
        author=caller.name,
        message=request.query.message if message is None else message,
        owner=caller.owner,
    )

    def store() -> tuple[Stored, str | None, bool]:
        before = bots.tag(bots.find(sent.bot.name, caller.workspace))
        stored = runtime.registry.store(
            written, now, by=caller, workspace=caller.workspace, given=given
        )
        row = bots.get(sent.bot.name, workspace=caller.workspace)
        return stored, bots.tag(row), before is None

    stored, tag, made = await runtime.door.write(store)
    name = sent.bot.name
    headers = {"ETag": etag(tag or ""), "Location": f"/api/v1/bots/{name}"}
    answer = {
        "name": name,
        "version": stored.number,
        "change": stored.change,
        "widens": list(stored.widens),
    }
    return ApiResponse(answer, 201 if made else 200, headers)


def _check(value: JSON, reader: Reader, name: str | None) -> Reading:
    if not isinstance(value, dict):
        problem = Problem("a definition is an object", code="type")
        return Reading((ReadBot(name, None, (problem,)),))
    if name is not None:
        value = {"name": name, **value}
    return reader.check_document(value, name=name)


def _only(reading: Reading, name: str | None) -> Bot:
    if reading.problems:
        raise RequestInvalid(reading.problems)
    if len(reading.bots) != 1:
        raise RequestInvalid([Problem(f"send one bot, not {len(reading.bots)}")])
    (bot,) = reading.bots
    if name is not None and bot.name != name:
        message = f"the definition is called {bot.name!r}, and the address {name!r}"
        raise RequestInvalid([Problem(message, "name", code="name")])
    return bot
