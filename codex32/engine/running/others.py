"""Other bots, started on behalf of one try of a step."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping

from codex32.engine.records.children import child_key
from codex32.engine.running.course import Course
from codex32.engine.running.environment import ChildRequest
from codex32.engine.running.origins import Way
from codex32.kernel.contracts.gateway import Payer
from codex32.kernel.errors import CapabilityRefused
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM
from codex32.kernel.views import BotCard, ExecutionRef, StepInfo


class OtherBots:
    """Those that ``allow.bots`` names."""

    def __init__(self, course: Course, step: StepInfo) -> None:
        self._course, self._step = course, step
        self._called: Counter[str] = Counter()

    async def describe(self, bot: str, version: int | None) -> BotCard:
        """What a bot is for and takes."""
        self._check(bot)
        return await self._course.env.bot_card(self._course.claim.workspace, bot, version)

    async def execute(
        self, bot: str, inputs: Mapping[str, JSON], way: Way, version: int | None = None
    ) -> ExecutionRef:
        """Start a bot once, or look at what was started; ``way`` is how strangers reach it."""
        return await self._start(bot, self._course.book.masker.mask_value(inputs), way, version)

    async def call(self, bot: str, inputs: Mapping[str, JSON], way: Way) -> ExecutionRef:
        """Start a bot, as often as this try wants it; another try finds the same."""
        masked = self._course.book.masker.mask_value(inputs)
        told = json.dumps([bot, masked], sort_keys=True).encode()
        asked = hashlib.sha256(told).hexdigest()[:32]
        self._called[asked] += 1
        return await self._start(bot, masked, way, None, f"{asked}-{self._called[asked]}")

    async def _start(
        self, bot: str, masked: JSON, way: Way, version: int | None, which: str = ""
    ) -> ExecutionRef:
        # The inputs stand in the other execution's row; its bot has an ``allow`` of its own.
        self._check(bot)
        course, claim, item = self._course, self._course.claim, self._step.item
        own = course.plan.bot.allow.spend_usd
        payers = [Payer(claim.id, claim.bot_id, own)] if own else []
        return await course.env.start_child(
            ChildRequest(
                workspace=claim.workspace,
                parent_id=claim.id,
                depth=claim.depth + 1,
                key=child_key(claim.id, self._step.id, NO_ITEM if item is None else item, which),
                bot=bot,
                inputs=masked,
                version=version,
                foreign=way,
                payers=(*course.payers, *payers),
            )
        )

    def _check(self, bot: str) -> None:
        if bot not in self._course.plan.bot.allow.bots:
            raise CapabilityRefused("bots", bot)
