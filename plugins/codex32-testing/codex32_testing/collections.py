"""Collections that answer what a test lays down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from codex32 import (
    Answer,
    AnswerOrder,
    Collections,
    Found,
    IndexOrder,
    IndexReport,
    SearchOrder,
)


@dataclass
class FakeCollections(Collections):
    """Keeps every order in ``orders``; answers ``report``, ``found`` and ``answered``."""

    report: IndexReport = field(default_factory=IndexReport)
    found: Sequence[Found] = ()
    answered: Answer = field(default_factory=lambda: Answer("", (), found=False))
    orders: list[IndexOrder | SearchOrder | AnswerOrder] = field(default_factory=list)

    async def index(self, order: IndexOrder) -> IndexReport:
        """What ``report`` holds."""
        self.orders.append(order)
        return self.report

    async def search(self, order: SearchOrder) -> Sequence[Found]:
        """The first of ``found``."""
        self.orders.append(order)
        return self.found[: order.limit]

    async def answer(self, order: AnswerOrder) -> Answer:
        """What ``answered`` holds."""
        self.orders.append(order)
        return self.answered
