"""Sealing what must not be read from the database: an envelope of two keys.

What belongs together (a workspace's secrets) has a *data key*, with which it is sealed; the data
key stands beside it, sealed with a key of the installation's ring, which the database never holds
(docs/decisions/0010-secrets-in-an-envelope-of-two-keys.md). Everything is AES-256-GCM and bound to
what it is about, so a ciphertext that is moved to another row opens nothing.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence

from codex32.engine.records import gates
from codex32.kernel.database import fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import canonical
from codex32.kernel.safe_rows import DataKeyRow
from codex32.services.safe.keyring import KeySource

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealBroken(Codex32Error):
    """What was sealed does not open: it was changed, or stands where it was not sealed for."""

    code = "seal-broken"


class Vault:
    """Seals and opens, each scope with data keys of its own; called in reads and writes.

    Args:
      source: Where the installation's keys are.
    """

    def __init__(self, source: KeySource) -> None:
        self.source = source

    def check(self) -> None:
        """Refuse to go on without a key that is needed.

        Raises:
          KeyMissing: Names it, and what to do.
          KeyRingInvalid: The keys cannot be read.
        """
        used = fetch(DataKeyRow.select(DataKeyRow.scope, DataKeyRow.key_id).distinct())
        ring = self.source.ring(make=False) if used else None
        for scope, key_id in used:
            assert ring is not None
            ring.key(key_id, _named(scope))

    def present(self, scope: str, now: int) -> tuple[int, bytes]:
        """The scope's present data key behind its number; made where there is none yet."""
        lock(scope)
        latest = self._latest(scope)
        if latest is None:
            return self.renew(scope, now)
        return latest, self.data_key(scope, latest)

    def renew(self, scope: str, now: int) -> tuple[int, bytes]:
        """A new data key for what is sealed from now on, behind its number."""
        lock(scope)
        number, key = (self._latest(scope) or 0) + 1, os.urandom(_KEY_BYTES)
        ring = self.source.ring(make=not DataKeyRow.select().exists())
        DataKeyRow.insert(
            scope=scope,
            number=number,
            key_id=ring.current,
            wrapped=seal(ring.keys[ring.current], key, _about_key(scope, number, ring.current)),
            created_at=now,
        ).execute()
        return number, key

    def data_key(self, scope: str, number: int) -> bytes:
        """The scope's data key of this number.

        Raises:
          KeyMissing: The ring lacks the key it is sealed with.
          SealBroken: It is not there, or was changed.
        """
        this = (DataKeyRow.scope == scope) & (DataKeyRow.number == number)
        found = fetch(DataKeyRow.select(DataKeyRow.key_id, DataKeyRow.wrapped).where(this))
        if not found:
            raise SealBroken(f"{_named(scope)} of number {number} is not there")
        return self._unwrapped(scope, number, *found[0])

    def rewrap(self) -> int:
        """Seal all data keys with the ring's present key; how many were not."""
        ring = self.source.ring(make=not DataKeyRow.select().exists())
        columns = (DataKeyRow.scope, DataKeyRow.number, DataKeyRow.key_id, DataKeyRow.wrapped)
        old = fetch(DataKeyRow.select(*columns).where(DataKeyRow.key_id != ring.current))
        for scope, number, key_id, wrapped in old:
            key = self._unwrapped(scope, number, key_id, wrapped)
            about = _about_key(scope, number, ring.current)
            sealed = seal(ring.keys[ring.current], key, about)
            this = (DataKeyRow.scope == scope) & (DataKeyRow.number == number)
            DataKeyRow.update(key_id=ring.current, wrapped=sealed).where(this).execute()
        return len(old)

    def forget(self, scope: str, before: int) -> None:
        """Remove the scope's data keys of smaller numbers; nothing may be sealed with them."""
        older = (DataKeyRow.scope == scope) & (DataKeyRow.number < before)
        DataKeyRow.delete().where(older).execute()

    def _latest(self, scope: str) -> int | None:
        numbers = DataKeyRow.select(DataKeyRow.number).where(DataKeyRow.scope == scope)
        latest: int | None = numbers.order_by(DataKeyRow.number.desc()).limit(1).scalar()
        return latest

    def _unwrapped(self, scope: str, number: int, key_id: str, wrapped: str) -> bytes:
        key = self.source.ring(make=False).key(key_id, _named(scope))
        return unseal(key, wrapped, _about_key(scope, number, key_id), _named(scope))


def lock(scope: str) -> None:
    """Let nobody else write what belongs to the scope until the transaction ends."""
    gates.lock(f"sealed {scope}")


def seal(key: bytes, text: bytes, about: Sequence[str | int]) -> str:
    """``text`` sealed with ``key``, bound to what it is about."""
    # Imported late: most processes never seal anything, and the library is large.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, text, canonical(list(about)).encode())
    return base64.b64encode(nonce + sealed).decode()


def unseal(key: bytes, sealed: str, about: Sequence[str | int], what: str) -> bytes:
    """What was sealed.

    Raises:
      SealBroken: It was sealed with another key or about something else, or it was changed.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.b64decode(sealed, validate=True)
        about_it = canonical(list(about)).encode()
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], about_it)
    except (InvalidTag, ValueError):
        raise SealBroken(
            f"{what} does not open: it was changed, or moved from where it was sealed for"
        ) from None


def _about_key(scope: str, number: int, key_id: str) -> tuple[str | int, ...]:
    return ("data key", scope, number, key_id)


def _named(scope: str) -> str:
    return f"the data key of {scope.replace(':', ' ')}"
