"""What a step may do, as the engine lets it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from codex32.engine.expressions import evaluate
from codex32.engine.records import seen
from codex32.engine.records.children import child_key
from codex32.engine.running.course import Course
from codex32.engine.running.environment import ChildRequest
from codex32.engine.running.programs import StepHost, file_grants, granted
from codex32.engine.running.timer import Timer
from codex32.kernel.bot import Allow
from codex32.kernel.clock import from_micros
from codex32.kernel.contracts.bot_type import StepContext
from codex32.kernel.contracts.collections import (
    CollectionCaller,
    Collections,
    CollectionsOf,
)
from codex32.kernel.contracts.embedder import EmbeddingPurpose, Vector
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.llm import Completion, CompletionRequest
from codex32.kernel.contracts.notifier import Notification, Receipt
from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult
from codex32.kernel.errors import CapabilityRefused, ProviderRejected, StepFault
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM
from codex32.kernel.views import Connection, ExecutionInfo, ExecutionRef, StepInfo, Waited

_STREAM_LEVELS = {"stdout": "info", "stderr": "warning"}


class EngineContext(StepContext):
    """The context of one try of one step."""

    def __init__(
        self, course: Course, step: StepInfo, waited: Waited | None, timer: Timer
    ) -> None:
        self._course = course
        self._env = course.env
        self._allow: Allow = course.plan.bot.allow
        self.step = step
        self.waited = waited
        self._timer = timer
        self._asked: dict[str, int] = {}
        #: What kept the last program in, if one was run.
        self.sandbox: str | None = None

    @property
    def execution(self) -> ExecutionInfo:  # type: ignore[override]
        """The execution, as bot types see it."""
        claim = self._course.claim
        return ExecutionInfo(
            id=claim.id,
            bot=claim.bot_name,
            version=claim.version_number,
            attempt=claim.attempt,
            inputs=self._course.scope["inputs"],
            trigger=self._course.scope["trigger"],
            started_at=from_micros(claim.started_at),
            workspace=claim.workspace,
        )

    @property
    def deadline_at(self) -> datetime:  # type: ignore[override]
        """When this try is stopped."""
        step_limit = self._course.step_limit(self.step.id)
        left = self._course.seconds_left()
        return self._env.clock.now() + timedelta(seconds=min(step_limit or left, left))

    @property
    def http(self) -> HttpClient:  # type: ignore[override]
        """The guarded client for the bot's hosts."""
        return self._env.http(self._allow.hosts)

    @property
    def collections(self) -> Collections:  # type: ignore[override]
        """The collections of the workspace, within what the bot may read and ask."""
        if self._env.collections is None:
            raise StepFault("there are no collections here")
        caller = CollectionCaller(
            self._model_caller, tuple(file_grants(self._allow.files)), self._allow.hosts, self.log
        )
        return CollectionsOf(self._env.collections, caller)

    @property
    def state(self) -> Mapping[str, JSON]:  # type: ignore[override]
        """The bot's state."""
        return self._course.claim.state

    async def run_program(self, program: Program) -> ProgramResult:
        """Run code in a process of its own, within the bot's limits."""
        left = (self.deadline_at - self._env.clock.now()).total_seconds()
        plan = self._course.plan
        bounded = replace(
            granted(program, self._allow),
            timeout_seconds=min(program.timeout_seconds, max(left, 0.1)),
            owner=self._course.claim.bot_name,
            origin=plan.origin,
        )
        begun = False

        def begin() -> None:
            nonlocal begun
            if not begun:
                begun = True
                self._timer.resume()

        # How long others keep it waiting is nothing the step can help.
        self._timer.pause()
        try:
            host = StepHost(self)
            result = await self._env.programs.run(
                bounded, ProgramHost(self._take_line, begin, host.tell, host.ask)
            )
        finally:
            begin()
        self.sandbox = result.sandbox or None
        return replace(result, state=host.state)

    def _take_line(self, stream: str, line: str) -> None:
        self.log(line, level=_STREAM_LEVELS.get(stream, "info"))

    async def complete(
        self,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask a model that the bot may use."""
        return await self._models.complete(
            self._model_caller, request, fallback=fallback, on_text=on_text
        )

    async def embed(
        self, texts: Sequence[str], *, embedder: str, purpose: EmbeddingPurpose = "document"
    ) -> Sequence[Vector]:
        """Turn texts into vectors, with an embedder that the bot may use."""
        return await self._models.embed(
            self._model_caller, texts, embedder=embedder, purpose=purpose
        )

    @property
    def _models(self) -> ModelGateway:
        if self._env.models is None:
            raise StepFault("no models can be called here")
        return self._env.models

    @property
    def _model_caller(self) -> ModelCaller:
        claim = self._course.claim
        return ModelCaller(
            workspace=claim.workspace,
            deadline_at=self.deadline_at,
            bot_id=claim.bot_id,
            bot=claim.bot_name,
            execution_id=claim.id,
            step=self.step.id,
            item=self.step.item,
            models=self._allow.models,
            spend_usd=self._allow.spend_usd,
            asked=self._asked,
        )

    async def unseen(self, keys: Sequence[str], *, keep_seconds: float | None) -> Sequence[bool]:
        """Which keys this step sees for the first time."""
        now = self._env.clock.micros()
        digests = [hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest() for key in keys]
        question = seen.Question(
            bot_id=self._course.claim.bot_id,
            step=self.step.id,
            # A retry is given the items that were new to the execution it repeats.
            owner=f"{self._course.lineage.origin}:{self._item}",
            digests=digests,
            now=now,
            expires_at=None if keep_seconds is None else now + int(keep_seconds * 1e6),
        )
        return await self._env.door.write(lambda: seen.first_time(question))

    async def notify(self, notifier: str, notification: Notification, target: str) -> Receipt:
        """Send a notification through an installed notifier.

        Its text is written where people read, so secrets are masked in it; in ``data`` and
        ``target``, which are for machines, they are not.
        """
        found = self._env.components.notifier(notifier)
        if notification.reply_to and not found.replies:
            raise ProviderRejected(f"{notifier} cannot reply; leave out reply_to")
        if notification.update and not found.updates:
            raise ProviderRejected(f"{notifier} cannot change what it sent; leave out update")
        told = (notification.title, notification.text, notification.html)
        title, text, html = map(self._course.book.masker.mask, told)
        left = (self.deadline_at - self._env.clock.now()).total_seconds()
        self.log(f"notify {notifier}: {title or text}"[:500])
        receipt = await found.send(
            replace(
                notification,
                title=title,
                text=text,
                html=html,
                idempotency_key=notification.idempotency_key or self.step.idempotency_key,
            ),
            target,
            http=self.http,
            timeout_seconds=left,
        )
        self._course.book.announce_sent(notifier, receipt)
        return receipt

    async def execute(self, bot: str, inputs: Mapping[str, JSON]) -> ExecutionRef:
        """Start another bot, or look at the execution that was started before."""
        if bot not in self._allow.bots:
            raise CapabilityRefused("bots", bot)
        claim = self._course.claim
        return await self._env.start_child(
            ChildRequest(
                workspace=claim.workspace,
                parent_id=claim.id,
                depth=claim.depth + 1,
                key=child_key(claim.id, self.step.id, self._item),
                bot=bot,
                # They stand in the other execution's row; its bot has an ``allow`` of its own.
                inputs=self._course.book.masker.mask_value(inputs),
            )
        )

    async def secret(self, name: str) -> str:
        """A secret that the bot may use."""
        return await self._course.secret(name)

    async def connection(self, name: str) -> Connection:
        """A connection that the bot may use."""
        return await self._course.connection(name)

    def evaluate(self, expression: str, **variables: JSON) -> JSON:
        """A bare expression over ``variables`` alone."""
        return evaluate(expression, variables)

    def log(self, message: str, *, level: str = "info", **fields: JSON) -> None:
        """Add a log line to the step."""
        self._course.book.log(self.step.id, self._item, level, message, fields)

    @property
    def _item(self) -> int:
        return NO_ITEM if self.step.item is None else self.step.item
