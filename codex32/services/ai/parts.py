"""The parts that call models, put together when they are first needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from codex32.kernel.clock import Clock
from codex32.kernel.components import Components
from codex32.kernel.contracts.board import Board
from codex32.kernel.contracts.embedder import Embedder
from codex32.kernel.contracts.llm import LLMProvider
from codex32.kernel.database import Door
from codex32.kernel.payloads import PayloadStore
from codex32.services.ai.breakers import Breakers
from codex32.services.ai.budgets import Caps
from codex32.services.ai.gateway import Gateway, Parts, Rules
from codex32.services.ai.journal import Journal
from codex32.services.ai.memory import Memory
from codex32.services.ai.prices import Prices
from codex32.services.ai.targets import SecretOf, Targets
from codex32.services.ai.till import Booked, Till, nobody_counts

log = logging.getLogger(__name__)


@dataclass
class Models:
    """What whoever calls models needs.

    Attributes:
      board: Makes what breakers are shared by.
      secret: The value of a workspace's secret, by both names.
      booked: Told of each request how it ended: ``provider:model`` and the settlement.
    """

    door: Door
    clock: Clock
    components: Components
    payloads: PayloadStore
    board: Callable[[], Board]
    secret: SecretOf
    caps: Caps = field(default_factory=Caps)
    prices: Prices = field(default_factory=Prices)
    rules: Rules = field(default_factory=Rules)
    booked: Booked = nobody_counts

    @cached_property
    def targets(self) -> Targets:
        """From names to models."""
        return Targets(self.components, self.prices, self.secret)

    @cached_property
    def shared(self) -> Board:
        """What breakers are shared by."""
        return self.board()

    async def close(self) -> None:
        """Let go of connections; a plugin that cannot holds up none of the others."""
        parts = self.components
        plugged: list[LLMProvider | Embedder] = [
            *parts.llm_providers.values(),
            *parts.embedders.values(),
        ]
        for each in plugged:
            try:
                await each.close()
            except Exception as error:
                log.warning("%s could not be closed: %s", each.name, type(error).__name__)
        if "shared" in self.__dict__:
            await self.shared.close()

    @cached_property
    def gateway(self) -> Gateway:
        """The one door."""
        return Gateway(
            Parts(
                targets=self.targets,
                till=Till(self.door, self.clock, self.caps, self.booked),
                journal=Journal(self.door, self.payloads),
                breakers=Breakers(self.shared, self.clock, self.door),
                clock=self.clock,
                rules=self.rules,
                memory=Memory(self.clock),
            )
        )
