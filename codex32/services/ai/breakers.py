"""Breakers: a model that fails is left alone, by all processes at once, and then tried by one.

``closed`` until three failures follow each other within a minute, or one says for how long it is
hopeless; then ``open``; after that one caller is let through while the others go on as if it were
open. Each time it opens again, it stays so twice as long, up to five minutes.

The board decides, and everybody may forget what stands on it. For those who watch the house there
are rows that tell the same, written when a breaker opens and when it closes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import peewee as pw

from codex32.kernel.clock import Clock, to_micros
from codex32.kernel.contracts.board import Board
from codex32.kernel.database import Door, fetch
from codex32.kernel.metric_rows import BreakerRow
from codex32.kernel.model_errors import FaultKind, ModelFault
from codex32.services.ai.verdicts import VERDICTS

#: Failures in a row, and within how long, until it opens.
FAILURES, WITHIN_SECONDS = 3, 60.0
FIRST_SECONDS, LONGEST_SECONDS = 2.0, 300.0
#: How often it opened is remembered this long.
_MEMORY_SECONDS = 1800.0
#: What is told as what it is, and how.
_TOLD: Mapping[FaultKind, str] = {
    "rate_limited": "it wants fewer requests",
    "auth": "its key was not accepted, or there is none",
    "quota": "its account is empty",
    "model_gone": "there is no such model any more",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a breaker belongs to: a model, where it is, and whose key is used."""

    provider: str
    endpoint: str
    model: str
    key: str | None

    @property
    def name(self) -> str:
        """A name that gives nothing away."""
        key = hashlib.sha256((self.key or "").encode()).hexdigest()[:16]
        whole = "\n".join((self.provider, self.endpoint, self.model, key))
        return "breaker:" + hashlib.sha256(whole.encode()).hexdigest()[:32]


class Rest(NamedTuple):
    """How a model is left alone: for how long, and what it suffers from, as far as it is known."""

    seconds: float
    kind: FaultKind | None = None

    def fault(self, name: str) -> ModelFault:
        """What whoever asks meanwhile is told: a key that is not accepted stays what it is."""
        kind: FaultKind = "unavailable"
        why = ""
        if self.kind is not None and self.kind in _TOLD:
            kind, why = self.kind, f" ({_TOLD[self.kind]})"
        message = f"{name} failed lately{why} and is given time to recover"
        fault = ModelFault(kind, message, retry_after_seconds=self.seconds)
        fault.retryable = True  # whatever it is: nobody was asked, and it is known when to come
        return fault


class Breakers:
    """The breakers of an installation.

    Args:
      board: Shared by all processes, where there is something to share it by.
      door: To the rows that tell of them; None where nobody watches.
    """

    def __init__(self, board: Board, clock: Clock, door: Door | None = None) -> None:
        self._board, self._clock, self._door = board, clock, door
        #: Those of whose opening this process told, by name.
        self._told: set[str] = set()

    async def rest(self, deployment: Deployment, *, probe_seconds: float) -> Rest | None:
        """How it is left alone; None where it may be asked now, be it for a probe.

        Args:
          deployment: Which.
          probe_seconds: How long a probe may take; meanwhile nobody else is let through.
        """
        name = deployment.name
        keys = [f"{name}:until", f"{name}:trips", f"{name}:why"]
        until, trips, why = await self._board.read(keys)
        kind = why if why in VERDICTS else None
        now = to_micros(self._clock.now())
        if until is not None and int(until) > now:
            return Rest((int(until) - now) / 1e6, kind)
        if trips is None:
            return None
        if await self._board.claim(f"{name}:probe", "1", seconds=probe_seconds):
            return None
        return Rest(1.0, kind)

    async def succeeded(self, deployment: Deployment) -> None:
        """It answered."""
        name = deployment.name
        keys = [f"{name}:{each}" for each in ("fails", "why", "trips", "probe", "until")]
        _, _, *opened = found = await self._board.read(keys)
        if any(text is not None for text in found):
            await self._board.wipe(keys)
        if name in self._told or any(text is not None for text in opened):
            self._told.discard(name)
            if self._door is not None:
                self._door.post(_close, name)

    async def failed(self, deployment: Deployment, fault: ModelFault) -> None:
        """It did not; open the breaker, if that is what follows."""
        name, rest = deployment.name, VERDICTS[fault.kind].rest_seconds
        if rest == 0:
            # It lives, whatever it said.
            await self._board.wipe([f"{name}:probe"])
            return
        if rest is None and fault.kind == "rate_limited" and fault.retry_after_seconds:
            rest = min(fault.retry_after_seconds, _MEMORY_SECONDS)
        if rest is None:
            (trips,) = await self._board.read([f"{name}:trips"])
            count = await self._board.count(f"{name}:fails", seconds=WITHIN_SECONDS)
            if trips is None and count < FAILURES:
                return
        number = await self._board.count(f"{name}:trips", seconds=_MEMORY_SECONDS)
        if rest is None:
            rest = min(FIRST_SECONDS * 2 ** (number - 1), LONGEST_SECONDS)
        now = to_micros(self._clock.now())
        until = now + int(rest * 1e6)
        await self._board.write(f"{name}:until", str(until), seconds=rest)
        await self._board.write(f"{name}:why", fault.kind, seconds=max(rest, _MEMORY_SECONDS))
        await self._board.wipe([f"{name}:probe", f"{name}:fails"])
        if self._door is not None:
            self._told.add(name)
            self._door.post(_open, _Opening(name, deployment.provider, now, until))


class _Opening(NamedTuple):
    name: str
    provider: str
    now: int
    until: int


def _open(openings: Sequence[_Opening]) -> Sequence[None]:
    BreakerRow.delete().where(~_remembered(max(each.now for each in openings))).execute()
    for each in sorted(openings):
        BreakerRow.insert(
            name=each.name,
            provider=each.provider,
            open_until=each.until,
            # As on the board, which counts from the first opening.
            forgotten_at=each.now + int(_MEMORY_SECONDS * 1e6),
        ).on_conflict(
            conflict_target=[BreakerRow.name], update={BreakerRow.open_until: each.until}
        ).execute()
    return [None] * len(openings)


def _close(names: Sequence[str]) -> Sequence[None]:
    BreakerRow.delete().where(BreakerRow.name.in_(list(names))).execute()
    return [None] * len(names)


def _remembered(now: int) -> pw.Expression:
    return (BreakerRow.forgotten_at > now) | (BreakerRow.open_until > now)


def standing(now: int) -> Mapping[tuple[str, str], int]:
    """How many are ``open`` or ``half_open``, by provider and that; a function for ``Door.read``.

    Args:
      now: The present, in microseconds.
    """
    columns = BreakerRow.provider, BreakerRow.open_until
    rows = fetch(BreakerRow.select(*columns).where(_remembered(now)))
    return Counter((provider, "open" if until > now else "half_open") for provider, until in rows)
