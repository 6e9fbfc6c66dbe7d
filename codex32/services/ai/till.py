"""Paying for one request: reserved before it is sent, settled whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from codex32.kernel.clock import Clock
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.llm import Usage
from codex32.kernel.database import Door
from codex32.kernel.fault_points import fault_point
from codex32.kernel.ids import new_id
from codex32.kernel.model_errors import BudgetExceeded
from codex32.services.ai import ledger
from codex32.services.ai.budgets import Caps, words
from codex32.services.ai.ledger import Attempt, Settlement
from codex32.services.ai.money import shown, usd
from codex32.services.ai.prices import Tariff

#: Beyond its time limit, a request is its maker's for so long.
GRACE_SECONDS = 30.0

#: Told of each request how it ended: ``provider:model`` and the settlement.
Booked: TypeAlias = Callable[[str, Settlement], None]


def nobody_counts(model: str, end: Settlement) -> None:
    """Where nobody counts requests."""


@dataclass
class Ticket:
    """A request that is paid for, from before it is sent until it is settled."""

    door: Door
    clock: Clock
    id: str
    tariff: Tariff
    #: Told how it ended.
    booked: Callable[[Settlement], None]
    #: Settled already, or on its way to be.
    over: bool = field(default=False, init=False)

    async def settle(self, settlement: Settlement) -> int | None:
        """Write how it ended; what it cost, None where that is what was reserved.

        A settlement with usage and without a cost is given the cost of its usage.
        """
        if settlement.usage is not None and settlement.cost_nano is None:
            settlement = replace(settlement, cost_nano=self.tariff.cost(settlement.usage))
        self.over = True
        fault_point("ledger.before_settling")
        await ledger.settle(self.door, settlement)
        fault_point("ledger.settled")
        self.booked(settlement)
        return settlement.cost_nano

    def ending(self, state: ledger.State, **more: object) -> Settlement:
        """A settlement of it, now."""
        return Settlement(self.id, state, self.clock.micros(), **more)  # type: ignore[arg-type]

    def leave(self) -> None:
        """Whatever it was cut off by: what was reserved counts as spent. Waits for nothing."""
        if not self.over:
            self.over = True
            end = self.ending("assumed", fault="cancelled")
            with suppress(RuntimeError):  # the door is closed; the reaper finds it
                self.door.post(ledger.settle_all, end)
            self.booked(end)


class Till:
    """Opens tickets.

    Args:
      caps: What the operator lets models cost.
      booked: Told of each request how it ended: ``provider:model`` and the settlement.
    """

    def __init__(
        self,
        door: Door,
        clock: Clock,
        caps: Caps,
        booked: Booked = nobody_counts,
    ) -> None:
        self._door, self._clock, self._caps, self._booked = door, clock, caps, booked

    async def open(
        self, caller: ModelCaller, model: str, tariff: Tariff, most: Usage, seconds: float
    ) -> Ticket:
        """Reserve what a request may cost at most.

        Args:
          caller: Who pays.
          model: ``provider:model``.
          tariff: Its price.
          most: The most tokens that it can take.
          seconds: How long it may take.

        Raises:
          BudgetExceeded: Some budget has not that much left; nothing is reserved.
        """
        now = self._clock.now()
        micros = self._clock.micros()
        written = replace(most, cache_write_tokens=most.input_tokens)
        worst = max(tariff.cost(most), tariff.cost(written))
        attempt = Attempt(
            id=new_id("mat"),
            row={
                "workspace": caller.workspace,
                "bot_id": caller.bot_id or "",
                "bot": caller.bot,
                "execution_id": caller.execution_id or "",
                "step": caller.step,
                "item": -1 if caller.item is None else caller.item,
                "purpose": caller.purpose[:200],
                "model": model,
                "day": self._caps.day(now),
            },
            limits=self._caps.limits(caller, now),
            worst_nano=worst,
            now=micros,
            lease_until=micros + int((seconds + GRACE_SECONDS) * 1e6),
        )
        fault_point("ledger.before_reserving")
        reservation = await ledger.reserve(self._door, attempt)
        if (limit := reservation.refused) is not None:
            raise BudgetExceeded(
                f"{model} may cost up to {shown(worst)}, and {words(limit, caller)} has "
                f"{shown(reservation.left_nano)} left of {shown(limit.nano)}; nothing was sent "
                f"(limit: {usd(limit.nano):g} USD)",
                scope=limit.key,
                limit_nano_usd=limit.nano,
            )
        fault_point("ledger.reserved")
        booked = partial(self._booked, model)
        return Ticket(self._door, self._clock, attempt.id, tariff, booked)
