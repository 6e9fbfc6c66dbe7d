"""Everything that can go wrong on this wire, as the one fault it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codex32 import FaultKind, ModelFault, model_refusal, unkeyed

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
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        if isinstance(error.__cause__ or error, httpx2.ConnectTimeout):
            return ModelFault("network", f"{service} cannot be reached in time")
        return ModelFault("timeout", f"{service} gave no answer in time", billed="maybe")
    if isinstance(error, anthropic.APIConnectionError | httpx2.TransportError):
        if isinstance(error.__cause__ or error, httpx2.ConnectError):
            return ModelFault("network", f"{service} cannot be reached; is base_url right?")
        return ModelFault("network", f"{service} cut the connection", billed="maybe")
    if isinstance(error, anthropic.APIStatusError):
        return _refusal(error, service, key)
    return malformed(service, f"it cannot be read ({type(error).__name__})")


def malformed(service: str, what: str) -> ModelFault:
    """The fault of an answer that is none; what it cost nobody knows."""
    return ModelFault("malformed", f"{service} gave no answer: {what}", billed="maybe")


def _refusal(error: Any, service: str, key: str | None) -> ModelFault:
    status = error.status_code
    reason = error.api_message if isinstance(error.api_message, str) else ""
    kind = _CODES.get(str(error.error_code)) or _kind_of_words(status, reason)
    kind = kind or (_TYPES.get(str(error.type)) if status not in (408, 409) else None)
    if status == 200:
        said = unkeyed(reason, key)[:300]
        return ModelFault(kind or "server", f"{service} broke off: {said}", billed="maybe")
    if status == 404 and not reason:
        reason = "no such model, or base_url is wrong"
    if 300 <= status < 400:
        reason = "it sends elsewhere; is base_url right?"
    headers = {name.lower(): value for name, value in error.response.headers.items()}
    return model_refusal(service, status, reason, kind=kind, headers=headers, key=key)


def _kind_of_words(status: int, reason: str) -> FaultKind | None:
    """What only the words of a refused request tell."""
    if status not in (400, 422):
        return None
    if _TOO_LONG.search(reason):
        return "context_too_long"
    if _NO_MONEY.search(reason):
        return "quota"
    return "unsupported" if _UNSUPPORTED.search(reason) else None
