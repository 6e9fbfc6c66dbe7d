"""Requests that others send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from codex32 import (
    JSON,
    LARGEST_BODY,
    Problem,
    TriggerType,
    Webhook,
    WebhookScheme,
    parse_duration,
    parse_size,
)
from codex32.builtin.triggers.webhook_schemes import (
    BearerScheme,
    GitHubScheme,
    HmacScheme,
    NoScheme,
    SlackScheme,
    StandardScheme,
    StripeScheme,
    base64_text,
    hex_text,
)

SCHEMES = ("standard", "github", "stripe", "slack", "hmac-sha256", "bearer", "none")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_LONGEST_REPLY_SECONDS = 60.0
_NAME = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,127}$"}
_HEADER = {"type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$"}
#: What may stand beside ``scheme`` and ``secret``, and with which schemes.
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "header": ("hmac-sha256", "bearer"),
    "id_header": ("hmac-sha256", "bearer"),
    "prefix": ("hmac-sha256",),
    "encoding": ("hmac-sha256",),
}


class WebhookTrigger(TriggerType):
    """Answers requests to ``/hooks/<workspace>/<path>`` whose sender proves who it is."""

    name: ClassVar[str] = "webhook"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "description": "Where requests are answered, who may send them, and with what.",
        "required": ["path", "auth"],
        "properties": {
            "path": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{1,128}$",
                "description": "The address is /hooks/<workspace>/<path>.",
                "examples": ["releases"],
            },
            "methods": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"enum": list(METHODS)},
                "default": ["POST"],
                "description": "What is answered.",
            },
            "auth": {
                "type": "object",
                "additionalProperties": False,
                "required": ["scheme"],
                "description": "How the sender proves who it is.",
                "properties": {
                    "scheme": {
                        "enum": list(SCHEMES),
                        "description": "Who signs in which way; none lets everybody in.",
                    },
                    "secret": {
                        "anyOf": [
                            _NAME,
                            {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 4,
                                "uniqueItems": True,
                                "items": _NAME,
                            },
                        ],
                        "description": "The name of a secret in allow.secrets, or several while "
                        "one follows another.",
                    },
                    "header": {**_HEADER, "description": "Where the proof stands."},
                    "prefix": {
                        "type": "string",
                        "maxLength": 64,
                        "default": "",
                        "description": "What stands before the digest, such as sha256=",
                    },
                    "encoding": {
                        "enum": ["hex", "base64"],
                        "default": "hex",
                        "description": "How the digest is written.",
                    },
                    "id_header": {
                        **_HEADER,
                        "description": "Names a delivery, so that one that comes again is known.",
                    },
                },
            },
            "reply": {
                "enum": ["none", "accepted", "result"],
                "default": "accepted",
                "description": "Nothing, the execution, or what it made.",
            },
            "reply_timeout": {
                "type": "string",
                "format": "duration",
                "default": "10s",
                "description": "How long the result is waited for, at most 60s.",
            },
            "max_bytes": {
                "type": "string",
                "default": "1MiB",
                "description": "Longest body, at most 10MiB.",
            },
        },
    }
    timed: ClassVar[bool] = False

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Secrets that are missing or too many, options of another scheme, limits out of reach."""
        return [*_auth_problems(config["auth"]), *_limit_problems(config)]

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """Never: it has no times."""
        return None

    def webhook(self, config: JSON) -> Webhook | None:
        """What stands in the file."""
        auth = config["auth"]
        secret = auth.get("secret", [])
        return Webhook(
            path=config["path"],
            scheme=_scheme(auth),
            methods=frozenset(config.get("methods", ("POST",))),
            secrets=(secret,) if isinstance(secret, str) else tuple(secret),
            reply=config.get("reply", "accepted"),
            reply_seconds=parse_duration(config.get("reply_timeout", "10s")),
            max_bytes=parse_size(config.get("max_bytes", "1MiB")),
        )

    def identity(self, config: JSON) -> JSON:
        """Its address: what was delivered there is known when secrets and limits change, too."""
        return {"path": config["path"], "methods": sorted(config.get("methods", ("POST",)))}


def _scheme(auth: Mapping[str, JSON]) -> WebhookScheme:
    named = auth.get("id_header", "").lower()
    match auth["scheme"]:
        case "standard":
            return StandardScheme()
        case "stripe":
            return StripeScheme()
        case "slack":
            return SlackScheme()
        case "github":
            return GitHubScheme()
        case "hmac-sha256":
            return HmacScheme(
                header=auth.get("header", "X-Signature-256").lower(),
                prefix=auth.get("prefix", ""),
                encode=base64_text if auth.get("encoding") == "base64" else hex_text,
                id_header=named,
            )
        case "bearer":
            return BearerScheme(auth.get("header", "Authorization").lower(), named)
    return NoScheme()


def _auth_problems(auth: Mapping[str, JSON]) -> list[Problem]:
    scheme, faults = auth["scheme"], []
    if scheme == "none" and "secret" in auth:
        message = "the scheme none looks at no secret; remove it, or choose another scheme"
        faults.append(Problem(message, path="auth.secret", code="secret"))
    if scheme != "none" and "secret" not in auth:
        message = f"the scheme {scheme} needs `secret`, the name of one in allow.secrets"
        faults.append(Problem(message, path="auth", code="missing"))
    for option, schemes in _OPTIONS.items():
        if option in auth and scheme not in schemes:
            message = f"{option} goes with {' and '.join(schemes)}, not with {scheme}"
            faults.append(Problem(message, path=f"auth.{option}", code="option"))
    return faults


def _limit_problems(config: Mapping[str, JSON]) -> list[Problem]:
    faults = []
    try:
        seconds = parse_duration(config.get("reply_timeout", "10s"))
        if not 0 < seconds <= _LONGEST_REPLY_SECONDS:
            message = f"{config['reply_timeout']!r} must be more than nothing and at most 60s"
            faults.append(Problem(message, path="reply_timeout", code="duration"))
    except ValueError as error:
        faults.append(Problem(str(error), path="reply_timeout", code="duration"))
    try:
        size = parse_size(config.get("max_bytes", "1MiB"))
        if not 0 < size <= LARGEST_BODY:
            message = f"{config['max_bytes']!r} must be more than nothing and at most 10MiB"
            faults.append(Problem(message, path="max_bytes", code="size"))
    except ValueError as error:
        faults.append(Problem(str(error), path="max_bytes", code="size"))
    return faults
