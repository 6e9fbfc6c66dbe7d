"""Reads secrets, and keeps the token good with which it may."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from codex32 import ProviderRejected, ProviderUnauthorized, SecretStore
from codex32_vault.api import Api, Token
from codex32_vault.place import Place

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")


class VaultStore(SecretStore):
    """Our secrets are the keys of one secret in Vault, so one question answers for all.

    A token is renewed when two thirds of its time are over, and asked for anew where that does
    not help; nothing is done while nobody asks.
    """

    scheme: ClassVar[str] = "vault"

    def __init__(self, place: Place, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._place, self._api, self._monotonic = place, Api(place), monotonic
        self._token: Token | None = None
        self._good_since = 0.0
        self._known: dict[str, Any] | None = None
        self._known_at: float | None = None
        #: One asks for all that wait; a lock belongs to its event loop.
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )

    async def read(self, name: str) -> str | None:
        """The value of a key, which must be a text."""
        if not _NAME.fullmatch(name):
            return None
        values = await self._values()
        if values is None or name not in values:
            return None
        if not isinstance(values[name], str):
            raise ProviderRejected(f"{name} in Vault is no text; write it as one")
        return str(values[name])

    async def names(self) -> Sequence[str]:
        """The keys whose values are texts."""
        values = await self._values() or {}
        return [
            key for key, each in values.items() if _NAME.fullmatch(key) and isinstance(each, str)
        ]

    async def _values(self) -> dict[str, Any] | None:
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            if self._known_at is None or self._age(self._known_at) >= self._place.cache_seconds:
                self._known = await self._ask()
                self._known_at = self._monotonic()
            return self._known

    async def _ask(self) -> dict[str, Any] | None:
        token = await self._good_token()
        try:
            return await self._api.read(token)
        except ProviderUnauthorized:
            # Revoked, or over before its time: another one may be let in.
            self._token = None
            fresh = await self._good_token()
            if fresh.text == token.text:
                raise
            return await self._api.read(fresh)

    async def _good_token(self) -> Token:
        token = self._token
        if token is not None and self._is_due(token):
            token = await self._renewed(token)
        if token is None:
            token = await self._new_token()
            self._good_since = self._monotonic()
        self._token = token
        return token

    def _is_due(self, token: Token) -> bool:
        return bool(token.ttl_seconds) and self._age(self._good_since) >= token.ttl_seconds * 2 / 3

    async def _renewed(self, token: Token) -> Token | None:
        if not token.renewable:
            return None
        asked_at = self._monotonic()
        try:
            renewed = await self._api.renew(token)
        except ProviderUnauthorized:
            return None
        self._good_since = asked_at
        # Near its longest life a renewal gives less and less; then another is asked for.
        return renewed if renewed.ttl_seconds * 2 > token.ttl_seconds else None

    async def _new_token(self) -> Token:
        if self._place.role_id is not None:
            secret_id = await asyncio.to_thread(self._place.secret_id)
            if secret_id is None:
                raise ProviderUnauthorized("the file secret_id_file of Vault cannot be read")
            return await self._api.sign_in(self._place.role_id, secret_id)
        given = await asyncio.to_thread(self._place.token)
        if given is None:
            raise ProviderUnauthorized("the file token_file of Vault cannot be read")
        return await self._api.look_up(given)

    def _age(self, since: float) -> float:
        return self._monotonic() - since
