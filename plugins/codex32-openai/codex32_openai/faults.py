"""Everything that can go wrong on this wire, as the one fault it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codex32 import (
    FaultKind,
    ModelFault,
    broken_off,
    connection_fault,
    malformed_answer,
    model_refusal,
)

_TYPES: Mapping[str, FaultKind] = {
    "insufficient_quota": "quota",
    "billing_error": "quota",
    "billing_hard_limit_reached": "quota",
    "authentication_error": "auth",
    "permission_error": "auth",
    "overloaded_error": "server",
    "server_error": "server",
    "rate_limit_error": "rate_limited",
}
_CODES: Mapping[str, FaultKind] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "enforced_spend_limit_reached": "quota",
    "contract_spend_limit_reached": "quota",
    "rate_limit_exceeded": "rate_limited",
    "invalid_api_key": "auth",
    "model_not_found": "model_gone",
    "context_length_exceeded": "context_too_long",
    "string_above_max_length": "context_too_long",
    "max_tokens_per_request": "context_too_long",
    "request_too_large": "context_too_long",
    "content_filter": "refused",
    "content_policy_violation": "refused",
    "unsupported_parameter": "unsupported",
    "unsupported_value": "unsupported",
    "invalid_json_schema": "unsupported",
    "engine_overloaded": "server",
}
#: Parameters that a model may not know, while it knows others.
_OPTIONAL = re.compile(
    r"response_format|tools|tool_choice|temperature|stop|stream_options|reasoning_effort"
    r"|max_tokens|max_completion_tokens|dimensions|encoding_format"
)
# Servers that only resemble OpenAI's tell by words alone.
_TOO_LONG = re.compile(r"context.?(length|window|size)|too long|too many tokens", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|does not support|unrecognized request argument"
    r"|extra inputs are not permitted|unknown (parameter|field)",
    re.IGNORECASE,
)


def fault_of(error: BaseException, service: str, key: str | None) -> ModelFault:
    """The fault that an exception of the SDK, of HTTP below it, or of reading stands for."""
    import httpx2
    import openai

    if isinstance(error, ModelFault):
        return error
    if (fault := connection_fault(error, service, openai, httpx2)) is not None:
        return fault
    if isinstance(error, openai.APIStatusError):
        return _refusal(error, service, key)
    if isinstance(error, openai.APIError):
        return _mid_stream(error, service, key)
    return malformed_answer(service, f"it cannot be read ({type(error).__name__})")


def _refusal(error: Any, service: str, key: str | None) -> ModelFault:
    status, body = error.status_code, error.body
    said = body.get("message") if isinstance(body, dict) else ""
    reason = said if isinstance(said, str) else ""
    kind = _kind(error, reason) if status != 429 or _is_quota(error) else None
    if kind is None and status in (400, 422):
        kind = _kind_of_words(error, reason)
    return model_refusal(
        service, status, reason, kind=kind, headers=error.response.headers, key=key
    )


def _is_quota(error: Any) -> bool:
    return _kind(error, "") == "quota"


def _kind(error: Any, reason: str) -> FaultKind | None:
    return _TYPES.get(str(error.type)) or _CODES.get(str(error.code))


def _kind_of_words(error: Any, reason: str) -> FaultKind | None:
    if _TOO_LONG.search(reason):
        return "context_too_long"
    if error.param and _OPTIONAL.match(str(error.param)):
        return "unsupported"
    return "unsupported" if _UNSUPPORTED.search(reason) else None


def _mid_stream(error: Any, service: str, key: str | None) -> ModelFault:
    kind = _kind(error, error.message) or "server"
    return broken_off(service, str(error.message), kind=kind, key=key)
