"""Signatures of webhooks that go out, as Standard Webhooks 1.0 has them."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A fresh secret such as ``whsec_C2FV…``: 32 random bytes in base 64 behind the prefix."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def sign(keys: Iterable[str], message_id: str, seconds: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature for each secret, spaces between."""
    text = f"{message_id}.{seconds}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_raw(key), text, "sha256")).decode() for key in keys
    )


def _raw(key: str) -> bytes:
    return base64.b64decode(key.removeprefix(PREFIX))
