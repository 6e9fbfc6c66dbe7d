"""Bodies and queries as the models that routes declare; all faults at once, no value echoed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, get_origin
from urllib.parse import parse_qsl

from aiohttp import StreamReader, web
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import ErrorDetails

from codex32.api.errors import (
    ENCODINGS,
    BodyMalformed,
    BodyTooLarge,
    BodyTooSlow,
    EncodingUnsupported,
    MediaTypeUnsupported,
    RequestInvalid,
)
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean

#: Fields of a form.
MAX_FIELDS = 100
#: A body has so long to come, and longer the more of it is there: what is held back holds nobody.
BODY_SECONDS, BODY_BYTES_A_SECOND = 30.0, 16 * 1024

#: The library would unpack more where others are installed; callers are told of these alone.
_UNPACKED = frozenset({"identity", *ENCODINGS.split(", ")})

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

#: Text that goes into a column as it is: PostgreSQL holds no NUL.
WITHOUT_NUL = r"^[^\x00]*$"

#: An idempotency key: one line of printable ASCII, as headers carry it.
KEY = r"^[!-~]([ -~]{0,253}[!-~])?$"

_Model = TypeVar("_Model", bound=BaseModel)

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _time(value: object) -> object:
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("it must be a time as in 2026-01-31T12:00:00Z")
    if isinstance(value, int | float):
        raise ValueError("it must be a text: a time as in 2026-01-31T12:00:00Z")
    return value


class Strict(BaseModel):
    """What callers send: unknown keys are refused, and in bodies values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


#: JSON has no type of its own for it.
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_time)]


class Nothing(Strict):
    """A body or query without any key."""


def one_key(headers: Mapping[str, str], stated: str | None) -> str | None:
    """The idempotency key of a request: of its header, or as its body states it.

    Raises:
      RequestInvalid: The header is none, or the two differ.
    """
    given = headers.get("Idempotency-Key")
    if given is None:
        return stated
    if not re.fullmatch(KEY, given):
        message = "the header Idempotency-Key must be 1 to 255 printable ASCII characters"
    elif stated not in (None, given):
        message = "the header Idempotency-Key says otherwise; send one of them"
    else:
        return given
    raise RequestInvalid([Problem(message, "idempotency_key")])


async def read_bytes(request: web.Request, max_bytes: int) -> bytes:
    """The request's body as it came.

    Raises:
      BodyMalformed: It did not come whole, or is not packed as its headers say.
      BodyTooLarge: It is larger than ``max_bytes``, packed or not.
      BodyTooSlow: It is waited for no longer.
      EncodingUnsupported: It is packed in another way than we read.
    """
    content = request.content
    # What it does not know, the library would hand on as it came.
    if request.headers.get("Content-Encoding", "identity").lower() not in _UNPACKED:
        raise EncodingUnsupported
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    try:
        # Most bodies are here with their heads, and a timer costs more than reading one.
        data = content.read_nowait() if content.is_eof() else await _arrived(content, max_bytes)
    except TimeoutError:
        raise BodyTooSlow("the body does not come; send it anew") from None
    except web.RequestPayloadError:
        raise BodyMalformed("the body is not packed as Content-Encoding says, or cut") from None
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data


async def _arrived(content: StreamReader, max_bytes: int) -> bytes:
    """What has come, once it has come whole or is more than ``max_bytes``."""
    data = bytearray()
    ends_at = asyncio.get_running_loop().time() + BODY_SECONDS
    async with asyncio.timeout_at(ends_at) as limit:
        async for chunk in content.iter_any():
            data += chunk
            if len(data) > max_bytes:
                break
            limit.reschedule(ends_at + len(data) / BODY_BYTES_A_SECOND)
    return bytes(data)


def _too_large(count: int) -> BodyTooLarge:
    told = f"{count // 1024**2} MiB" if count % 1024**2 == 0 else f"{count} bytes"
    return BodyTooLarge(f"the body is larger than {told}")


async def read_body(request: web.Request, model: type[_Model], max_bytes: int) -> _Model:
    """The request's body of JSON; one that was not sent is the empty object.

    Raises:
      MediaTypeUnsupported: It is not declared as JSON.
      BodyMalformed: It did not come whole, or is no JSON.
      BodyTooLarge: It is larger than ``max_bytes``.
      RequestInvalid: It does not fit the model.
    """
    data = await read_bytes(request, max_bytes)
    if not data:
        nothing: _Model = _of_nothing(model)
        return nothing
    if request.content_type != JSON_TYPE:
        raise MediaTypeUnsupported(f"send JSON, with `Content-Type: {JSON_TYPE}`")
    return _checked(model, parse_json(data))


async def read_form(request: web.Request, model: type[_Model], max_bytes: int) -> _Model:
    """The fields of the request's form.

    Raises:
      MediaTypeUnsupported: It is not declared as a form.
      BodyMalformed: It did not come whole, or is no form.
      BodyTooLarge: It is larger than ``max_bytes``.
      RequestInvalid: It does not fit the model, or names a field twice.
    """
    data = await read_bytes(request, max_bytes)
    if request.content_type != FORM_TYPE:
        raise MediaTypeUnsupported(f"send a form, with `Content-Type: {FORM_TYPE}`")
    try:
        text = data.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BodyMalformed("the body is no form of UTF-8 text") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name[:64] for name in names if names.count(name) > 1})
        raise RequestInvalid([Problem("it stands in the form more than once", n) for n in twice])
    return _checked(model, values, strict=False)


def read_query(request: web.Request, model: type[_Model]) -> _Model:
    """The request's query.

    Raises:
      RequestInvalid: It does not fit the model, or names twice what is no list.
    """
    if not request.rel_url.raw_query_string:
        nothing: _Model = _of_nothing(model)
        return nothing
    values: dict[str, Any] = {}
    twice: list[Problem] = []
    for name in request.query:
        given = request.query.getall(name)
        if name in model.model_fields and get_origin(model.model_fields[name].annotation) is list:
            values[name] = given
        else:
            values[name] = given[0]
            if len(given) > 1:
                twice.append(Problem("it stands in the query more than once", name[:64]))
    if twice:
        raise RequestInvalid(list(dict.fromkeys(twice)))
    return _checked(model, values, strict=False)


@cache
def _of_nothing(model: type[BaseModel]) -> Any:
    """What a model makes of no value at all; nobody changes it, for it is frozen."""
    return _checked(model, {})


def parse_json(data: bytes) -> JSON:
    """The value of a body.

    Raises:
      BodyMalformed: It is no JSON, holds a number that is not finite, or is too deep.
    """
    try:
        return parse_foreign(data)
    except NotJson as error:
        raise BodyMalformed(str(error)) from None


def _checked(model: type[_Model], value: JSON, *, strict: bool | None = None) -> _Model:
    """The model; ``strict`` is as the model says, but for texts that stand for all types."""
    try:
        return model.model_validate(value, strict=strict)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestInvalid([_problem(model, fault) for fault in faults]) from None


def _problem(model: type[BaseModel], fault: ErrorDetails) -> Problem:
    path = ".".join(str(part)[:64] for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()]
        hint = did_you_mean(str(fault["loc"][-1])[:64], known)
        message = f"unknown key{hint}; known: {', '.join(known) or 'none'}"
        return Problem(message, path, code="unknown-key")
    message = fault["msg"].removeprefix("Value error, ")
    return Problem(message[0].lower() + message[1:], path)
