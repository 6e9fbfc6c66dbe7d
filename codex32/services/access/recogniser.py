"""Recognising callers without a look into the database at every request.

What was found is believed for :data:`BELIEVED_SECONDS`. A change that this process makes is seen
by its very next request, one that another process makes within that time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.services.access import keys, recognition
from codex32.services.access.faults import CredentialsInvalid
from codex32.services.access.recognition import Found
from codex32.services.access.signing import Signer
from codex32.services.access.tokens import Key, digest

T = TypeVar("T")

BELIEVED_SECONDS = 1.0
#: Callers that are remembered; beyond that all are looked up again.
_MAX_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Remembered:
    caller: Caller
    until: float


class Recogniser:
    """Finds who is behind a token.

    Args:
      door: To the rows.
      signer: Reads access tokens.
      clock: The house's.
    """

    def __init__(self, door: Door, signer: Signer, clock: Clock) -> None:
        self._door, self._signer, self._clock = door, signer, clock
        self._remembered: dict[tuple[str, str | None], _Remembered] = {}
        self._changes = 0

    async def caller(self, token: str, workspace: str | None) -> Caller:
        """The user or program that sent ``token`` and wants to work in ``workspace``.

        Raises:
          CredentialsInvalid: The token is nobody's, or no longer good.
          WorkspaceNotFound: There is no such workspace that they could see.
        """
        name = digest(token), workspace
        known = self._remembered.get(name)
        if known is not None and time.monotonic() < known.until:
            return known.caller
        changes, asked_at = self._changes, time.monotonic()
        found = await self._look(token, workspace)
        if found.stale_key is not None:
            self._door.post(keys.touch, (found.stale_key, self._clock.micros()))
        self._remember(name, found.caller, asked_at, changes)
        return found.caller

    async def _look(self, token: str, workspace: str | None) -> Found:
        if token.count(".") == 2:
            return await self._door.read(self._by_access_token, token, workspace)
        key = Key.parse(token)
        if key is None:  # nobody is asked
            raise CredentialsInvalid("the token is not, or no longer, good")
        return await self._door.read(recognition.by_key, key, workspace, self._clock.micros())

    def _by_access_token(self, token: str, workspace: str | None) -> Found:
        now = self._clock.micros()
        claims = self._signer.read(token, now // 1_000_000)
        return recognition.by_claims(claims, workspace, now)

    async def operator(self, operator: Caller, workspace: str | None) -> Caller:
        """The operator, at work in a workspace: their own, unless they name another one.

        Raises:
          WorkspaceNotFound: There is none of this name.
        """
        if workspace is None or workspace == operator.workspace:
            return operator
        name = operator.id, workspace
        known = self._remembered.get(name)
        if known is not None and time.monotonic() < known.until:
            return known.caller
        changes, asked_at = self._changes, time.monotonic()
        await self._door.read(recognition.require_workspace, workspace)
        caller = replace(operator, workspace=workspace)
        self._remember(name, caller, asked_at, changes)
        return caller

    def _remember(
        self, name: tuple[str, str | None], caller: Caller, asked_at: float, changes: int
    ) -> None:
        # What was changed while we looked may not be what we saw.
        if changes == self._changes:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = _Remembered(caller, asked_at + BELIEVED_SECONDS)

    async def change(self, work: Callable[[], T]) -> T:
        """Have ``work`` written, and forget what was believed."""
        try:
            return await self._door.write(work)
        finally:
            self._changes += 1
            self._remembered.clear()
