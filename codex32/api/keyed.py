"""``Idempotency-Key`` on routes that declare ``keyed``: asking again is asking once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pydantic import BaseModel

from codex32.api.operations import Operation
from codex32.api.reading import one_key
from codex32.kernel.contracts.route import ApiRequest, ApiResponse
from codex32.kernel.errors import Codex32Error
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, loads
from codex32.runtime import Runtime
from codex32.services.safe import requests
from codex32.services.safe.requests import Asked

#: Of an answer that was given before.
REPLAYED = "Idempotent-Replayed"


def keyed(operation: Operation, runtime: Runtime) -> Operation:
    """The operation, carried out once under one key."""
    route, door, clock, vault = operation.route, runtime.door, runtime.clock, runtime.vault
    carry_out = route.handler

    async def once(request: ApiRequest) -> ApiResponse | BaseModel | JSON:
        key = one_key(request.headers, None)
        if key is None:
            return await carry_out(request)
        asked = Asked.of(key, request.caller, operation.id, _wish(request))
        claim = partial(requests.claim, vault, asked, clock.micros())
        earlier = await door.write(claim)
        if earlier is not None:
            headers = {**earlier["headers"], REPLAYED: "true"}
            return ApiResponse(earlier["body"], earlier["status"], headers)
        try:
            answer = await carry_out(request)
        except Codex32Error:  # nothing was done, so that it may be asked for anew
            door.post(requests.withdraw, asked)
            raise
        fault_point("requests.before_answer")
        if not isinstance(answer, ApiResponse):
            answer = ApiResponse(answer, route.status)
        kept = {
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": _plain(answer.body),
        }
        keep = partial(requests.answered, vault, asked, kept, clock.micros())
        await door.write(keep)
        return answer

    return replace(operation, route=replace(route, handler=once))


def _wish(request: ApiRequest) -> JSON:
    """All that an operation is told, as it is compared."""
    path, kind = dict(request.path), request.content_type
    return [path, kind, _plain(request.query), _plain(request.body)]


def _plain(value: object) -> JSON:
    if isinstance(value, BaseModel):
        return loads(value.model_dump_json(by_alias=True))
    return value.decode("latin-1") if isinstance(value, bytes) else value
