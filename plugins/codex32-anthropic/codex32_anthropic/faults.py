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

#: ``error.type`` comes first: in the middle of a stream the status is 200.
_TYPES: Mapping[str, FaultKind] = {
    "overloaded_error": "server",
    "api_error": "server",
    "timeout_error": "server",
    "rate_limit_error": "rate_limited",
    "billing_error": "quota",
    "authentication_error": "auth",
    "permission_error": "auth",
    "not_found_error": "model_gone",
    "request_too_large": "context_too_long",
}
#: ``error.details.error_code``, which is narrower than the type.
_CODES: Mapping[str, FaultKind] = {
    "enforced_spend_limit_reached": "quota",
    "contract_spend_limit_reached": "quota",
    "credit_balance_too_low": "quota",
}
_TOO_LONG = re.compile(
    r"prompt is too long|exceed[s]? context limit|input length and `?max_tokens", re.IGNORECASE
)
_NO_MONEY = re.compile(r"credit balance is too low", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"^(output_config|tools|tool_choice|temperature|top_[pk]|stop_sequences|thinking)\b"
    r"|not supported|does not support|unsupported|extra inputs are not permitted",
    re.IGNORECASE,
)


def fault_of(error: BaseException, service: str, key: str | None) -> ModelFault:
    """The fault that an exception of the SDK, of HTTP below it, or of reading stands for."""
    import anthropic
    import httpx2

    if isinstance(error, ModelFault):
        return error
    if (fault := connection_fault(error, service, anthropic, httpx2)) is not None:
        return fault
    if isinstance(error, anthropic.APIStatusError):
        return _refusal(error, service, key)
    return malformed_answer(service, f"it cannot be read ({type(error).__name__})")


def _refusal(error: Any, service: str, key: str | None) -> ModelFault:
    status = error.status_code
    reason = error.api_message if isinstance(error.api_message, str) else ""
    kind = _CODES.get(str(error.error_code)) or _kind_of_words(status, reason)
    kind = kind or (_TYPES.get(str(error.type)) if status not in (408, 409) else None)
    if status == 200:
        return broken_off(service, reason, kind=kind or "server", key=key)
    return model_refusal(
        service, status, reason, kind=kind, headers=error.response.headers, key=key
    )


def _kind_of_words(status: int, reason: str) -> FaultKind | None:
    """What only the words of a refused request tell."""
    if status not in (400, 422):
        return None
    if _TOO_LONG.search(reason):
        return "context_too_long"
    if _NO_MONEY.search(reason):
        return "quota"
    return "unsupported" if _UNSUPPORTED.search(reason) else None
