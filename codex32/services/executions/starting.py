"""Starting a bot: which version runs, with which inputs, behind which gate.

What is asked for at the same time is looked up and written together, so that thousands of
starts a second share their queries and commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from codex32.engine.expressions import compile_template
from codex32.engine.running.environment import ChildRequest
from codex32.engine.values.inputs import check_inputs
from codex32.kernel.batches import one_of
from codex32.kernel.bot import Bot
from codex32.kernel.caller import DEFAULT_WORKSPACE
from codex32.kernel.clock import Clock, SystemClock, from_micros
from codex32.kernel.database import Door, announce, fetch, is_sqlite
from codex32.kernel.errors import (
    BotDisabled,
    BotNotFound,
    Codex32Error,
    IdempotencyConflict,
    StepFault,
)
from codex32.kernel.events import Event, ExecutionQueued
from codex32.kernel.fault_points import fault_point
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, canonical
from codex32.kernel.models import BotRow, ExecutionRow
from codex32.kernel.notices import Happenings
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status
from codex32.kernel.subject import asked_within
from codex32.kernel.views import ExecutionRef
from codex32.services.bots.definitions import Definitions
from codex32.services.executions import executions
from codex32.services.executions.executions import NewExecution, Submitted
from codex32.services.executions.finding import Found, Lookup
from codex32.services.presentation import iso

#: Longest chain of executions that start each other.
MAX_DEPTH = 8
#: Concurrency keys that are longer, or hold what a database may refuse, stand as their digests.
_LONGEST_KEY = 200


@dataclass(slots=True)
class Start:
    """The wish that a bot be executed once.

    Attributes:
      bot: The bot's name.
      inputs: As the caller gave them; defaults are filled in and all are checked.
      trigger: What expressions see as ``trigger``; ``at`` is added where it is missing.
      version_id: A version other than the live one.
      version: Likewise, by its number.
      idempotency_key: Within the bot; where it was used before, that execution is the answer.
      request_key: In its place the key of somebody who asks from outside, behind whose it is:
        within the workspace, and for one and the same wish.
      priority: None for the bot's own.
      in_turn: Wait until earlier executions of the same trigger have ended.
      id: Of the execution to be; asking twice with the same id is asking once.
      traceparent: The span within which it is asked for; that of whoever makes the wish.
    """

    bot: str
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    trigger: Mapping[str, JSON] = field(default_factory=lambda: {"kind": "manual"})
    version_id: str | None = None
    version: int | None = None
    trigger_id: str | None = None
    parent_id: str | None = None
    depth: int = 0
    idempotency_key: str | None = None
    request_key: str | None = None
    priority: int | None = None
    in_turn: bool = False
    workspace: str = DEFAULT_WORKSPACE
    id: str = field(default_factory=lambda: new_id("exe"))
    traceparent: str | None = field(default_factory=asked_within)

    def request_digest(self) -> str | None:
        """What is asked for under ``request_key``, so that nothing else is asked for under it."""
        if self.request_key is None:
            return None
        wish = {"bot": self.bot, "inputs": dict(self.inputs), "priority": self.priority}
        return hashlib.sha256(canonical(wish).encode()).hexdigest()

    def key(self, bot_id: str) -> str | None:
        """The key as the row holds it."""
        if self.request_key is not None:
            return f"request:{self.workspace}:{self.request_key}"
        return scoped_key(bot_id, self.idempotency_key)


@dataclass(frozen=True, slots=True)
class Subject:
    """A bot at the version that is to be executed."""

    bot_id: str
    name: str
    version_id: str
    number: int
    bot: Bot


def prepare(start: Start, subject: Subject, payloads: PayloadStore, now: int) -> NewExecution:
    """The execution that ``start`` asks for, inputs checked and packed.

    Raises:
      InputsInvalid: The inputs do not fit; all faults are told.
      ExpressionFault: The concurrency key cannot be told from them.
    """
    bot = subject.bot
    inputs = check_inputs(bot, start.inputs)
    trigger = start.trigger if "at" in start.trigger else {"at": _told_at(now), **start.trigger}
    gate, gate_limit, when_full, max_queued = _gate(start, subject, inputs, trigger)
    return NewExecution(
        id=start.id,
        workspace=start.workspace,
        bot_id=subject.bot_id,
        bot_name=subject.name,
        version_id=subject.version_id,
        version_number=subject.number,
        inputs=payloads.pack(start.id, inputs),
        trigger=payloads.pack(start.id, trigger),
        trigger_kind=str(trigger.get("kind", "manual")),
        trigger_id=start.trigger_id,
        parent_id=start.parent_id,
        depth=start.depth,
        priority=bot.priority if start.priority is None else start.priority,
        idempotency_key=start.key(subject.bot_id),
        request_digest=start.request_digest(),
        traceparent=start.traceparent,
        created_at=now,
        gate=gate,
        gate_limit=gate_limit,
        when_full=when_full,
        max_queued=max_queued,
    )


@lru_cache(maxsize=8)  # those that start together start at one time
def _told_at(now: int) -> str | None:
    return iso(now)


def scoped_key(bot_id: str, key: str | None) -> str | None:
    """An idempotency key as the row holds it: bots do not share keys."""
    return None if key is None else f"{bot_id}:{key}"


def _gate(
    start: Start, subject: Subject, inputs: JSON, trigger: Mapping[str, JSON]
) -> tuple[str | None, int | None, str, int | None]:
    """An execution stands behind one gate: the bot's where it has one, else its trigger's.

    Behind the bot's gate an execution that must wait its turn asks for a limit of one: it enters
    when the gate is empty, and so after every earlier execution of its trigger.

    Returns:
      The gate, its limit, what happens when it is full, and how many may wait before it.
    """
    limits = subject.bot.concurrency
    if limits is None:
        gate = f"trigger:{start.trigger_id}" if start.in_turn else None
        return gate, 1 if gate else None, "queue", None
    key = ""
    if limits.key is not None:
        about = {"name": subject.name, "version": subject.number}
        scope = {"inputs": inputs, "trigger": trigger, "bot": about}
        value = compile_template(limits.key).evaluate(scope)
        key = value if isinstance(value, str) else canonical(value)
        if len(key) > _LONGEST_KEY or not key.isprintable():
            key = hashlib.sha256(canonical(key).encode()).hexdigest()
    gate = f"bot:{subject.bot_id}:{key}"
    if start.in_turn:
        return gate, 1, "queue", limits.max_queued
    return gate, limits.limit, limits.when_full, limits.max_queued


@dataclass(frozen=True, slots=True)
class Queued(Happenings):
    """New executions were asked for and will run."""

    executions: Sequence[NewExecution]

    def events(self) -> Iterator[Event]:
        """One an execution."""
        for new in self.executions:
            yield ExecutionQueued(
                at=from_micros(new.created_at),
                workspace=new.workspace,
                execution_id=new.id,
                bot=new.bot_name,
                traceparent=new.traceparent,
                trigger=new.trigger_kind,
            )


class Starter:
    """Starts bots by name, for people, programs and other bots.

    Args:
      door: The database.
      definitions: Versions as bots.
      payloads: Where inputs go that are too long for a row.
    """

    def __init__(
        self,
        door: Door,
        definitions: Definitions,
        payloads: PayloadStore,
        clock: Clock = SystemClock.shared,
    ) -> None:
        self._door, self._definitions = door, definitions
        self._payloads, self._clock = payloads, clock
        self._lookup = Lookup()

    async def start(self, start: Start) -> Submitted:
        """Start a bot; the answer comes after the commit.

        Raises:
          BotNotFound: No bot has this name.
          BotDisabled: Its file is gone, says ``enabled: false``, or holds alerts alone.
          BotInvalid: It has never had a version without faults.
          InputsInvalid: The inputs do not fit what it declares.
          VersionNotFound: It has no version of the id asked for.
          IdempotencyConflict: Under its ``request_key`` something else was asked for.
        """
        return _told(await self._door.write_many(self.start_many, start))

    def start_now(self, start: Start) -> Submitted:
        """Like :meth:`start`, for threads without an event loop."""
        return _told(self._door.write_many_now(self.start_many, start))

    async def start_child(self, request: ChildRequest) -> ExecutionRef:
        """Start the execution that a step asks for, or look at it if it was started before.

        Raises:
          StepFault: Bots have started each other ``MAX_DEPTH`` times.
        """
        start = Start(
            bot=request.bot,
            inputs=request.inputs,
            trigger={"kind": "bot", "execution": request.parent_id, **_told_origin(request)},
            version=request.version,
            parent_id=request.parent_id,
            depth=request.depth,
            idempotency_key=request.key,
            workspace=request.workspace,
        )
        submitted = _told(
            await self._door.write_many(self.start_many, start, patience_seconds=None)
        )
        fault_point("child.after_start")
        if submitted.id is None:
            raise StepFault(
                f"{request.bot} is full: its concurrency lets no more wait",
                retryable=True,
                code="concurrency",
            )
        if not submitted.repeated:
            return ExecutionRef(submitted.id, request.bot, Status.QUEUED)
        return await self._door.read_surely(self._look, submitted.id, request.workspace)

    def start_many(self, starts: Sequence[Start]) -> list[Submitted | Codex32Error]:
        """Start all of them, each by itself: a batch for ``Door.write_many``."""
        now = self._clock.micros()
        lookup = self._lookup = self._lookup.if_young()
        found = lookup.find({(start.workspace, start.bot) for start in starts}, now)
        answers: dict[int, Submitted | Codex32Error] = {}
        made: dict[int, NewExecution] = {}
        over = _ended({start.parent_id for start in starts if start.parent_id is not None})
        for place, start in enumerate(starts):
            if start.parent_id in over:
                answers[place] = StepFault("the execution that starts it has ended")
                continue
            try:
                ready = self._prepare(start, found.get((start.workspace, start.bot)), now)
            except Codex32Error as error:
                answers[place] = error
            else:
                if isinstance(ready, Submitted):
                    answers[place] = ready
                else:
                    made[place] = ready
        submitted = executions.submit(list(made.values()), lookup.asked)
        queued: list[NewExecution] = []
        for (place, new), answer in zip(made.items(), submitted, strict=True):
            answers[place] = _conflict() if answer.conflict else answer
            if answer.id == new.id:
                queued.append(new)
            elif new.inputs.startswith("@") or new.trigger.startswith("@"):
                self._payloads.remove(new.id)
        if queued:
            announce(Queued(queued))
        return [answers[place] for place in range(len(starts))]

    def _prepare(self, start: Start, row: Found | None, now: int) -> NewExecution | Submitted:
        if row is None:
            mine = BotRow.removed_at.is_null() & (BotRow.workspace == start.workspace)
            known = fetch(BotRow.select(BotRow.name).where(mine))
            raise BotNotFound(start.bot, [name for (name,) in known])
        key = start.key(row.bot_id)
        earlier = None if key is None else executions.earlier(key, start.request_digest())
        if earlier is not None:
            if earlier.conflict:
                raise _conflict()
            return earlier
        if start.depth > MAX_DEPTH:
            raise StepFault(
                f"bots have started each other {MAX_DEPTH} times; {start.bot} would be one more",
                code="depth",
            )
        version_id = row.version(start.version_id, start.version)
        bot = self._definitions.bot(version_id)
        if not bot.steps:
            raise BotDisabled(row.name, "it holds alerts alone, and there is nothing to execute")
        number = self._definitions.number(version_id)
        subject = Subject(row.bot_id, row.name, version_id, number, bot)
        return prepare(start, subject, self._payloads, now)

    def _look(self, execution_id: str, workspace: str) -> ExecutionRef:
        row = executions.get(execution_id, workspace=workspace)
        failed = row.status == Status.FAILED or row.status == Status.CANCELLED
        return ExecutionRef(
            id=row.id,
            bot=row.bot_name,
            status=row.status,
            ended=row.finished_at is not None,
            output=self._payloads.unpack(row.id, row.output),
            error={"message": row.message, "code": row.cause or row.status} if failed else None,
        )


def _ended(parents: Collection[str]) -> set[str]:
    """Those that have ended; the others do not end before this transaction does.

    A worker that was frozen asks for a child of an execution that others have ended meanwhile.
    """
    if not parents:
        return set()
    rows = ExecutionRow.select(ExecutionRow.id, ExecutionRow.finished_at)
    rows = rows.where(one_of(ExecutionRow.id, parents))
    if not is_sqlite():
        rows = rows.order_by(ExecutionRow.id).for_update("FOR SHARE")  # type: ignore[arg-type]
    return {row_id for row_id, finished_at in fetch(rows) if finished_at is not None}


def _told_origin(request: ChildRequest) -> dict[str, JSON]:
    told: dict[str, JSON] = {"foreign": list(request.foreign)} if request.foreign else {}
    if request.payers:
        told["payers"] = [asdict(each) for each in request.payers]
    return told


def _conflict() -> IdempotencyConflict:
    return IdempotencyConflict(
        "another execution was asked for under this idempotency key; take a new key"
    )


def _told(answer: Submitted | Codex32Error) -> Submitted:
    if isinstance(answer, Codex32Error):
        raise answer
    return answer
