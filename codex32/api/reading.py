"""Bodies and queries as the models that routes declare; all faults at once, no value echoed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from codex32.api.errors import (
    BodyMalformed,
    BodyTooLarge,
    MediaTypeUnsupported,
    RequestInvalid,
)
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean

#: Fields of a form.
MAX_FIELDS = 100

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

#: An idempotency key: one line of printable ASCII, as headers carry it.
KEY = r"^[!-~]([ -~]{0,253}[!-~])?$"

_Model = TypeVar("_Model", bound=BaseModel)


class Strict(BaseModel):
    """What callers send: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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
    """
    too_large = BodyTooLarge(f"the body is larger than {_size(max_bytes)}")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    data = bytearray()
    try:
        async for chunk in request.content.iter_any():
            data += chunk
            if len(data) > max_bytes:
                raise too_large
    except web.RequestPayloadError:
        raise BodyMalformed("the body is not packed as Content-Encoding says, or cut") from None
    return bytes(data)


def _size(count: int) -> str:
    return f"{count // 1024**2} MiB" if count % 1024**2 == 0 else f"{count} bytes"


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
    return _checked(model, values)


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
    return _checked(model, values)


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


def _checked(model: type[_Model], value: JSON) -> _Model:
    try:
        return model.model_validate(value)
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
