"""What may stand under ``with`` of an ``http`` step."""

from __future__ import annotations

from typing import Any

_STATUS_PATTERN = "^[1-5](xx|[0-9]{2})$"
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}

PARAMS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "description": "Where to; allow.hosts must name its host."},
        "method": {
            "enum": ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"],
            "default": "GET",
            "description": "The method; all but GET, HEAD and OPTIONS count as effects.",
        },
        "headers": {**_TEXTS, "description": "Headers of the request."},
        "query": {
            "type": "object",
            "description": "Added to the URL; a list repeats its name, null is left out.",
        },
        "json": {"description": "A body, sent as JSON."},
        "form": {**_TEXTS, "description": "A body, sent as a form."},
        "body": {"type": "string", "description": "A body, sent as it is, in UTF-8."},
        "auth": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
            "description": "Credentials: bearer, or basic.",
            "properties": {
                "bearer": {"type": "string", "description": "A token."},
                "basic": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["username", "password"],
                    "description": "A name and a password.",
                    "properties": {
                        "username": {"type": "string", "description": "The name."},
                        "password": {"type": "string", "description": "The password."},
                    },
                },
            },
        },
        "expect": {
            "type": ["string", "integer", "array"],
            "pattern": _STATUS_PATTERN,
            "minimum": 100,
            "maximum": 599,
            "items": {"type": ["string", "integer"], "pattern": _STATUS_PATTERN},
            "default": "2xx",
            "description": "Statuses that are a success: 2xx, 204 or a list; others fail.",
        },
        "follow": {
            "type": ["boolean", "integer"],
            "minimum": 0,
            "maximum": 20,
            "default": False,
            "description": "Redirects to follow: a number, or true for 5.",
        },
        "max_bytes": {
            "type": ["string", "integer"],
            "minimum": 1,
            "default": "10MiB",
            "description": "A longer answer is a fault.",
        },
        "timeout": {
            "type": "string",
            "format": "duration",
            "default": "30s",
            "description": "Limit of each request, body included.",
        },
        "parse": {
            "enum": ["auto", "json", "text", "base64"],
            "default": "auto",
            "description": "How the body is read; auto reads JSON where the answer says it is, "
            "and text otherwise.",
        },
        "page": {
            "type": "object",
            "additionalProperties": False,
            "required": ["next"],
            "description": "Ask for all pages; the body is then the list of their bodies.",
            "properties": {
                "next": {
                    "type": "string",
                    "format": "expression",
                    "variables": ["response"],
                    "description": "Yields the URL of the next page, on the same host, or null.",
                },
                "max_pages": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 1000,
                    "default": 10,
                    "description": "Stop after so many.",
                },
            },
        },
    },
}
