"""The keys that everything secret hangs on: a few, each with an id; the first is the present one.

They are written as ``ID:KEY``, the key 32 bytes in base64, one a line or with commas between.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from codex32.kernel.errors import Codex32Error

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_BYTES = 32


class KeyRingInvalid(Codex32Error):
    """The installation's keys cannot be read; the message never shows a key."""

    code = "key-ring-invalid"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Key-encryption keys by id, the present one first."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current(self) -> str:
        """The id of the key that new things are made with."""
        return next(iter(self.keys))

    def derived(self, key_id: str, purpose: str) -> bytes | None:
        """A key for one purpose alone, or None where the ring lacks the key it hangs on."""
        key = self.keys.get(key_id)
        return None if key is None else hmac.digest(key, purpose.encode(), "sha256")


def parse(text: str, place: str) -> KeyRing:
    """The keys in ``text``.

    Args:
      text: As they are written.
      place: Where the text stands, for messages.

    Raises:
      KeyRingInvalid: There is none, one is no key, or an id is given twice.
    """
    keys: dict[str, bytes] = {}
    for number, part in enumerate(re.split(r"[,\s]+", text.strip()), 1):
        key_id, colon, encoded = part.partition(":")
        if not colon or not _ID.fullmatch(key_id):
            raise KeyRingInvalid(f"{place}: key {number} is not written as ID:KEY")
        if key_id in keys:
            raise KeyRingInvalid(f"{place}: the id {key_id} is given to two keys")
        keys[key_id] = _key(encoded, f"{place}: key {key_id}")
    return KeyRing(keys)


def _key(encoded: str, place: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise KeyRingInvalid(
            f"{place} is not {_BYTES} bytes in base64; make one with: openssl rand -base64 32"
        )
    return key


def fresh(key_id: str) -> str:
    """A new key, as it is written."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(_BYTES)).decode()}"
