"""Tokens that are chance alone: refresh tokens, one-time codes, API keys.

They stand in the database as SHA-256, which is enough for what has 128 random bits and more.
An API key is ``cx32_key_ID_SECRET``: eight characters that may be shown, 43 of chance and six of
a checksum, so that a mistyped one is refused, and a leaked one found, without asking anybody.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Literal

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"cx32_key_([0-9a-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


def new_token(kind: Literal["refresh", "once"]) -> str:
    """A fresh token of 256 random bits; the beginning tells what it is."""
    return f"cx32_{kind}_{secrets.token_urlsafe(32)}"


def digest(token: str) -> str:
    """What stands in the database in place of ``token``."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """An API key.

    Attributes:
      prefix: The part that may be shown.
      secret: The part that may not.
    """

    prefix: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> Key:
        """A key that nobody has."""
        prefix = "".join(secrets.choice(_ALPHABET[:10] + _ALPHABET[36:]) for _ in range(8))
        return cls(prefix, "".join(secrets.choice(_ALPHABET) for _ in range(43)))

    @classmethod
    def parse(cls, text: str) -> Key | None:
        """The key that ``text`` is, or None where it is none."""
        found = _KEY.fullmatch(text)
        if found is None or found[3] != _checksum(found[1], found[2]):
            return None
        return cls(found[1], found[2])

    @property
    def text(self) -> str:
        """The whole key, as its owner gets it once."""
        return f"cx32_key_{self.prefix}_{self.secret}{_checksum(self.prefix, self.secret)}"

    def fits(self, stored: str) -> bool:
        """Whether ``stored`` is the digest of this key."""
        return hmac.compare_digest(digest(self.secret), stored)


def _checksum(prefix: str, secret: str) -> str:
    number = zlib.crc32(f"{prefix}_{secret}".encode())
    written = ""
    for _ in range(6):
        number, place = divmod(number, len(_ALPHABET))
        written = _ALPHABET[place] + written
    return written
