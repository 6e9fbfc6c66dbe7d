"""How far an execution has come, and what its steps share: one attempt's state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property

from codex32.engine.records import approvals, rates
from codex32.engine.records.advance import Claim
from codex32.engine.records.keeping import Lineage
from codex32.engine.running.environment import Environment
from codex32.engine.running.notebook import Notebook
from codex32.engine.running.origins import Origins
from codex32.engine.running.plan import Plan
from codex32.engine.running.results import Results
from codex32.kernel.clock import from_micros
from codex32.kernel.contracts.gateway import Payer
from codex32.kernel.errors import CapabilityRefused, ConnectionNotFound, SecretNotFound
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ApprovalRow, StepRow
from codex32.kernel.views import Connection


class Course:
    """The state of one attempt at an execution.

    Attributes:
      scope: What expressions see, but for ``item``, ``index``, ``secrets`` and ``failure``.
      lineage: Of which execution this one is a retry, as far as effects and ``dedupe`` care.
      in_doubt: A step whose effect a person has to decide about, if there is one.
      paced: Whether its bot, or a step of it, has a rate limit.
      slot: The rate limit and the slot of it (microseconds) that is waited for; the first one.
      awaiting: Steps and items that wait for events.
      draining: The worker is stopping: no further step is started.
      closes_at: Until when the closing steps have time, as :meth:`Clock.steady` tells it; None
        before they begin.
      asked: Steps have asked people, in this attempt or before; where that is not known yet, they
        may have.
      awaits: The approvals that are still open, by step and item.
    """

    def __init__(self, env: Environment, claim: Claim) -> None:
        self.env = env
        self.claim = claim
        self.book = Notebook(env, claim)
        #: When this attempt began, as :meth:`Clock.steady` tells it.
        self._began = env.clock.steady()
        self.results = Results()
        self.scope: dict[str, JSON] = {}
        self.lineage = Lineage.of(claim.id, claim.lineage)
        self.plan: Plan
        self.in_doubt: str | None = None
        self.paced = False
        self.slot: tuple[str, int] | None = None
        self.awaiting: set[tuple[str, int]] = set()
        self.draining = False
        self.closes_at: int | None = None
        self.asked = claim.attempt > 1
        self.awaits: dict[tuple[str, int], str] = {}
        self._settled: dict[str, ApprovalRow] | None = None
        self._secrets: dict[str, str] = {}

    async def open(self) -> None:
        """Read what is to be done, and what earlier attempts have done of it.

        Raises:
          Codex32Error: The version cannot be run, or a value it needs is gone.
        """
        self.plan = await self.env.plan(self.claim.version_id)
        self.book.types, self.book.bot_type = dict(self.plan.types), self.plan.bot_type
        self.paced = self.plan.paced
        await self._set_scope()
        if self.claim.attempt > 1 or self.claim.lineage is not None:
            await self.env.door.read_surely(self._restore)

    @cached_property
    def origins(self) -> Origins:
        """Where what steps are given comes from."""
        return Origins(self.plan, self.scope["trigger"])

    @cached_property
    def payers(self) -> Sequence[Payer]:
        """Those who had this execution started and have limits of their own.

        A retry of it was started by a person, though it is told the same.
        """
        told = self.scope["trigger"]
        is_child = isinstance(told, Mapping) and told.get("kind") == "bot"
        if not is_child or self.claim.lineage is not None:
            return ()
        return [Payer(**each) for each in told.get("payers") or ()]

    def _restore(self) -> None:
        rows = StepRow.select().where(StepRow.execution_id == self.claim.id)
        self.results.restore(rows, self.env.payloads)
        self.asked = self.results.asked()

    async def _set_scope(self) -> None:
        claim = self.claim
        self.scope.update(
            inputs=await self.unpack(claim.inputs),
            trigger=await self.unpack(claim.trigger),
            steps=self.results.scope,
            execution={
                "id": claim.id,
                "attempt": claim.attempt,
                "started_at": from_micros(claim.started_at).isoformat(),
            },
            bot={"name": claim.bot_name, "version": claim.version_number},
            state=claim.state,
        )

    async def settled(self, approval_id: str, until: int | None) -> ApprovalRow | None:
        """An approval that was decided, or whose time is over; None while it is open.

        Args:
          approval_id: One of this execution's.
          until: When its time is over, in microseconds; None for never.
        """
        claim, now = self.claim, self.env.clock.micros()
        if self._settled is None:
            self._settled = await self.env.door.read_surely(approvals.settled, claim.id)
        found = self._settled.get(approval_id)
        if found is None and until is not None and until <= now:
            found = await self.env.door.write(
                lambda: approvals.expire(claim.id, approval_id, now), patience_seconds=None
            )
        return found

    async def unpack(self, text: str | None) -> JSON:
        """The value of a column's text; None for None."""
        if text is not None and text.startswith("@"):  # a file, which would block the loop
            return await asyncio.to_thread(self.env.payloads.unpack, self.claim.id, text)
        return self.env.payloads.unpack(self.claim.id, text)

    def waits_for(self, now: int) -> str:
        """What it waits for that people should know, and what they can do; else empty."""
        if self.in_doubt is not None:
            return (
                f"whether the effect of step {self.in_doubt} happened is unknown; decide with: "
                f"codex32 executions resolve {self.claim.id} --sent|--not-sent|--fail"
            )
        if len(self.awaits) == 1:
            ((step, _),) = self.awaits
            (approval,) = self.awaits.values()
            return (
                f"step {step} waits for a decision; decide with: "
                f"codex32 approvals approve|reject {approval}"
            )
        if self.awaits:
            return (
                f"{len(self.awaits)} approvals are open; "
                f"see: codex32 approvals list --execution {self.claim.id}"
            )
        if self.slot is not None and self.slot[1] > now:
            return rates.waiting_text(*self.slot)
        return ""

    @property
    def spent(self) -> int:
        """Microseconds that this attempt has taken."""
        return self.env.clock.steady() - self._began

    def seconds_left(self) -> float:
        """What is left of the bot's time, or of that to close; waiting does not count."""
        if self.closes_at is not None:
            return (self.closes_at - self.env.clock.steady()) / 1e6
        used = self.claim.active_micros + self.spent
        return self.plan.bot.timeout_seconds - used / 1e6

    def keep(self, state: Mapping[str, JSON] | None) -> None:
        """Let later steps see what a step, or an item, wrote into the bot's state."""
        for key, value in (state or {}).items():
            if value is None:
                self.claim.state.pop(key, None)
            else:
                self.claim.state[key] = value

    def await_slot(self, key: str, slot: int) -> None:
        """Note that a step, or the execution, waits for a slot of a rate limit."""
        if self.slot is None or slot < self.slot[1]:
            self.slot = (key, slot)

    def step_limit(self, step_id: str) -> float | None:
        """The limit of one try of a step, in seconds."""
        for section in (self.plan.steps, self.plan.on_failure, self.plan.finally_):
            for planned in section:
                if planned.id == step_id:
                    return planned.step.timeout_seconds
        return None

    async def secret(self, name: str) -> str:
        """A secret that the bot's ``allow`` names; masked from now on.

        Raises:
          CapabilityRefused: ``allow.secrets`` does not name it.
          SecretNotFound: No store knows it.
        """
        if name not in self.plan.bot.allow.secrets:
            raise CapabilityRefused("secrets", name)
        return await self.entrusted(name)

    async def connection(self, name: str) -> Connection:
        """A connection that the bot's ``allow`` names; its secrets are masked from now on.

        Raises:
          CapabilityRefused: ``allow.connections`` does not name it.
          ConnectionNotFound: The workspace has none of this name.
          SecretNotFound: No store knows a secret that it refers to.
        """
        if name not in self.plan.bot.allow.connections:
            raise CapabilityRefused("connections", name)
        found = await self.env.connection(self.claim.workspace, name)
        if found is None:
            raise ConnectionNotFound(name)
        secrets = {key: await self.entrusted(each) for key, each in found.secrets.items()}
        return Connection(name, found.type, found.host, found.port, found.options, secrets)

    async def entrusted(self, name: str) -> str:
        """A secret of what the bot was permitted to use; masked from now on, and not shown to it.

        Raises:
          SecretNotFound: No store knows it.
        """
        if name not in self._secrets:
            value = await self.env.secret(self.claim.workspace, name)
            if value is None:
                raise SecretNotFound(name)
            self._secrets[name] = value
            self.book.masker.add(value)
        return self._secrets[name]
