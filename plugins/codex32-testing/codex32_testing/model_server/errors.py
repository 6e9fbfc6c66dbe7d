"""Errors as both services word them: status, and the body of each wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WireError:
    """One error.

    Attributes:
      type: OpenAI's ``error.type``; Anthropic has its own, ``anthropic_type``.
      code: OpenAI's ``error.code``, and Anthropic's ``error.details.error_code`` if
        ``detailed``.
      param: The parameter that OpenAI names.
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    anthropic_type: str = "invalid_request_error"
    anthropic_status: int | None = None
    detailed: bool = False

    def openai(self) -> dict[str, Any]:
        """The body on the wire of OpenAI."""
        said = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": said}

    def anthropic(self, request_id: str) -> dict[str, Any]:
        """The body on the wire of Anthropic."""
        said: dict[str, Any] = {"type": self.anthropic_type, "message": self.message}
        if self.detailed:
            said["details"] = {"error_code": self.code}
        return {"type": "error", "error": said, "request_id": request_id}


def bad(message: str, *, param: str | None = None, code: str | None = None) -> WireError:
    """A request that is refused for what it holds."""
    return WireError(400, message, param=param, code=code)


ERRORS = {
    "rate_limited": WireError(
        429,
        "Rate limit reached for requests per min. Please try again in 1s.",
        type="requests",
        code="rate_limit_exceeded",
        anthropic_type="rate_limit_error",
    ),
    "insufficient_quota": WireError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        type="insufficient_quota",
        code="insufficient_quota",
        anthropic_type="billing_error",
        anthropic_status=402,
    ),
    "spend_limit": WireError(
        429,
        "This workspace has reached its spend limit for the month.",
        type="billing_hard_limit_reached",
        code="enforced_spend_limit_reached",
        anthropic_type="rate_limit_error",
        detailed=True,
    ),
    "payment_required": WireError(
        402,
        "Your credit balance is too low to access the API.",
        type="billing_error",
        code="billing_not_active",
        anthropic_type="billing_error",
    ),
    "forbidden": WireError(
        403,
        "Country, region, or territory not supported",
        type="request_forbidden",
        code="unsupported_country_region_territory",
        anthropic_type="permission_error",
    ),
    "model_gone": WireError(
        404,
        "The model `gone` does not exist or you do not have access to it.",
        code="model_not_found",
        anthropic_type="not_found_error",
    ),
    "request_timeout": WireError(
        408, "Request timed out.", type="timeout", anthropic_type="timeout_error"
    ),
    "conflict": WireError(
        409,
        "The resource is being changed by another request.",
        type="conflict",
        anthropic_type="invalid_request_error",
    ),
    "too_large": WireError(
        413,
        "Request exceeds the maximum size",
        code="request_too_large",
        anthropic_type="request_too_large",
    ),
    "context_too_long": WireError(
        400,
        "prompt is too long: 210000 tokens > 200000 maximum (maximum context length)",
        param="messages",
        code="context_length_exceeded",
    ),
    "unsupported_schema": WireError(
        400,
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
        "model (output_config.format: Extra inputs are not permitted).",
        param="response_format",
    ),
    "unsupported_param": WireError(
        400,
        "Unsupported parameter: 'temperature' is not supported with this model.",
        param="temperature",
        code="unsupported_parameter",
    ),
    "unsupported_stream_options": WireError(
        400, "Unrecognized request argument supplied: stream_options", param="stream_options"
    ),
    "bad_request": WireError(400, "'messages' must contain something else.", param="messages"),
    "unprocessable": WireError(
        422, "The request was well-formed and cannot be followed.", code="unprocessable"
    ),
    "server": WireError(
        500,
        "The server had an error while processing your request. Sorry about that!",
        type="server_error",
        anthropic_type="api_error",
    ),
    "overloaded": WireError(
        529,
        "Overloaded",
        type="server_error",
        code="engine_overloaded",
        anthropic_type="overloaded_error",
    ),
}


def wrong_key(key: str) -> WireError:
    """The answer to a key that is not known; it tells the key back, as services have done."""
    return WireError(
        401,
        f"Incorrect API key provided: {key}. You can find your API key in your settings.",
        code="invalid_api_key",
        anthropic_type="authentication_error",
    )


def no_key() -> WireError:
    """The answer where no key came."""
    return WireError(
        401,
        "You didn't provide an API key. Provide it in an Authorization header using Bearer auth.",
        anthropic_type="authentication_error",
    )
