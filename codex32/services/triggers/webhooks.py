"""Taking deliveries of webhooks: is the sender who it should be, and what becomes of it.

What is looked up, verified, read and decided costs no commit; what came of it is then written
together with everything else that is waiting, an execution and its occurrence in one. A delivery
that its sender names is answered once: when it comes again, at once or later and to whichever
process, the first execution is the answer. docs/howto/receive-webhooks.md tells the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

from codex32.engine.records import gates
from codex32.kernel.batches import one_of
from codex32.kernel.clock import Clock, SystemClock
from codex32.kernel.contracts.webhook import WebhookRefused, WebhookRequest
from codex32.kernel.database import Door, fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.fault_points import fault_point
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.kernel.models import OccurrenceRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.subject import asked_within
from codex32.services.bots import webhook_paths
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.bots.webhook_paths import Hook
from codex32.services.executions.executions import NewExecution
from codex32.services.triggers.answering import Answerer, Happening, Question
from codex32.services.triggers.occurrences import Answer, carry_out, live_triggers
from codex32.services.triggers.webhook_bodies import BodyUnreadable, read_content

log = logging.getLogger(__name__)

_T = TypeVar("_T")
#: Why a delivery could not even be read.
Fault = Literal["", "unreadable", "too-large"]
#: Gives a secret of a workspace by name, or None where there is none.
ReadSecret = Callable[[str, str], Awaitable[str | None]]

#: Headers that no bot sees, beside those of the scheme.
PRIVATE_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
#: Bodies that are longer are verified and taken apart on a thread of their own.
_LONG_BYTES = 64 * 1024
#: Of the same webhook, a refusal is logged this often.
_TELL_SECONDS = 10.0
#: Refusals are answered when so long, or a multiple of it, has passed since the delivery came.
REFUSED_SECONDS = 0.05
_DECOY_SECRET, _DECOY_KEY = "DECOY", os.urandom(32)


class DeliveryRefused(Codex32Error):
    """No webhook here takes this delivery."""

    code = "delivery-refused"

    def __init__(self) -> None:
        super().__init__(
            "no webhook here takes this: there is none at this address for this method, or the "
            "delivery does not prove who sent it; the log of the server tells which"
        )


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer to a sender who only asked whether somebody is there."""

    text: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a delivery whose sender is known.

    Attributes:
      decision: ``fired``, ``deduplicated``, or why no execution was made: as in ``codex32 why``.
      detail: Why, for the log and for people of the workspace; it may quote the bot.
      fault: Why it could not even be read.
      dropped: The bot wants no second try of this delivery.
    """

    hook: Hook
    decision: str
    detail: str = ""
    execution_id: str | None = None
    fault: Fault = ""
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A delivery that was taken apart.

    Attributes:
      about: What expressions see in ``trigger``.
      fault: Why it could not be; then ``detail`` tells more.
    """

    about: Mapping[str, JSON]
    fault: Fault = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A delivery, and what shall become of it unless it was there before."""

    hook: Hook
    answer: Answer
    named: bool
    fault: Fault = ""

    @property
    def place(self) -> tuple[str, str]:
        return self.answer.due.id, self.answer.key


class Receiver:
    """Takes deliveries.

    Args:
      types: The installed trigger types, which know the schemes.
      definitions: Versions as bots.
      payloads: Where inputs and bodies go that are too long for a row.
      secret: Gives a workspace's secret by its name.
    """

    def __init__(
        self,
        door: Door,
        types: TriggerTypes,
        definitions: Definitions,
        payloads: PayloadStore,
        secret: ReadSecret,
        clock: Clock = SystemClock.shared,
    ) -> None:
        self._door, self._types, self._secret = door, types, secret
        self._payloads, self._clock = payloads, clock
        self._answerer = Answerer(definitions, payloads)
        #: When a webhook's refusals were logged last, by trigger.
        self._told: dict[str, float] = {}

    async def receive(self, workspace: str, request: WebhookRequest) -> Delivered | Greeting:
        """Take a delivery; the answer comes after the commit.

        Raises:
          DeliveryRefused: Nobody serves this address for this method, or the sender does not
            prove who it is; neither the answer nor its time tells which.
        """
        now, came = self._clock.micros(), time.monotonic()
        find = webhook_paths.find
        hook = await self._door.read(find, self._types, workspace, request.method, request.path)
        try:
            name = await self._admit(hook, workspace, request, now)
        except DeliveryRefused:
            await asyncio.sleep(-(time.monotonic() - came) % REFUSED_SECONDS)
            raise
        assert hook is not None
        greeting = await _aside(request, partial(hook.webhook.scheme.greeting, request))
        if greeting is not None:
            return Greeting(greeting)
        read = await _aside(request, partial(read_delivery, hook, request))
        judged = await self._door.read(self.judge, hook, read, name, now)
        new = judged.answer.execution
        if new is not None:
            new.traceparent = asked_within()
        told = await self._door.write_many(self.settle_many, judged)
        fault_point("webhooks.before_answer")
        if new is not None and new.id != told.execution_id and _has_files(new):
            # Not in the write, which may be done again and needs them then.
            await asyncio.to_thread(self._payloads.remove, new.id)
        return told

    async def _admit(
        self, hook: Hook | None, workspace: str, request: WebhookRequest, now: int
    ) -> str | None:
        """The sender's name for the delivery, if it is one that may deliver here."""
        wanted = hook.webhook.secrets if hook else (_DECOY_SECRET,)
        found = [await self._secret(workspace, each) for each in wanted]
        # An empty key would be one that everybody knows.
        secrets = [each for each in found if each]
        work = _refuse_after_work
        if hook is not None and (secrets or not hook.webhook.scheme.secret):
            work = hook.webhook.scheme.verify
        try:
            return await _aside(request, partial(work, request, secrets, now / 1_000_000))
        except WebhookRefused as refusal:
            if hook is not None:
                missing = f"none of its secrets is set: {', '.join(wanted)}"
                self._tell(hook, str(refusal) if secrets else missing)
            raise DeliveryRefused from None

    def _tell(self, hook: Hook, why: str) -> None:
        """Log a refusal, for whoever sets the webhook up; strangers cannot fill the log."""
        now = time.monotonic()
        if now - self._told.get(hook.due.id, float("-inf")) >= _TELL_SECONDS:
            self._told[hook.due.id] = now
            told, due = "refused a delivery to %s (%s): %s", hook.due
            log.warning(told, hook.address, due.bot_name, why, extra=due.about)

    def judge(self, hook: Hook, read: Read, name: str | None, now: int) -> _Judged:
        """Decide about a delivery; called in a read, for it writes nothing."""
        named = name is not None
        key = _name_key(name) if name is not None else new_id("dlv")
        answer = Answer(hook.due, now, "invalid", key=key, again=True)
        if read.fault:
            answer.detail = read.detail
            return _Judged(hook, answer, named, read.fault)
        question = Question(hook.due, hook.trigger, Happening(key, now, read.about))
        answer = self._answerer.decide(question, now)
        answer.again = True
        return _Judged(hook, answer, named)

    def settle_many(self, items: Sequence[_Judged]) -> list[Delivered]:
        """Write what becomes of deliveries: a batch for ``Door.write_many``."""
        now = self._clock.micros()
        gates.lock_all(f"delivery:{':'.join(each.place)}" for each in items if each.named)
        known = _known({each.place for each in items})
        # A write that is done again finds them as they were.
        answers = [replace(each.answer) for each in items]
        firsts: dict[tuple[str, str], Answer] = {}
        for each, answer in zip(items, answers, strict=True):
            if each.place not in known:
                firsts.setdefault(each.place, answer)
        self._mind_overlaps(items, firsts)
        # In this order no two processes wait for each other's keys.
        ordered = sorted(firsts.values(), key=_idempotency_key)
        carry_out(ordered, self._payloads, now)
        known |= {place: answer.execution_id for place, answer in firsts.items()}
        repeats = []
        for each, answer in zip(items, answers, strict=True):
            if firsts.get(each.place) is not answer:
                self._repeat(answer, firsts.get(each.place), known[each.place])
                repeats.append(answer)
        carry_out(
            [answer for answer in repeats if answer.decision != "fired"], self._payloads, now
        )
        fault_point("webhooks.before_commit")
        return [_delivered(each, answer) for each, answer in zip(items, answers, strict=True)]

    def _mind_overlaps(
        self, items: Sequence[_Judged], firsts: Mapping[tuple[str, str], Answer]
    ) -> None:
        careful = {each.hook.due.id for each in items if each.hook.trigger.overlap == "skip"}
        live = live_triggers(careful) if careful else set()
        for (trigger_id, _), answer in firsts.items():
            new = answer.execution
            if new is None or trigger_id not in careful:
                continue
            if trigger_id in live:
                answer.decision = "overlap"
                answer.detail = "an earlier execution is still going on"
                answer.execution = None
            live.add(trigger_id)

    def _repeat(self, answer: Answer, first: Answer | None, execution_id: str | None) -> None:
        """Answer a delivery that was there before as it was answered then."""
        new, answer.execution = answer.execution, None
        if new is not None and new.id == execution_id:
            answer.execution_id = execution_id  # this very write was done before
            return
        if execution_id is None:
            assert first is not None
            answer.decision, answer.detail = first.decision, first.detail
            return
        answer.execution_id, answer.again, answer.key = execution_id, False, new_id("dlv")
        answer.decision, answer.detail = "deduplicated", "it was delivered before"


def _refuse_after_work(request: WebhookRequest, secrets: Sequence[str], now: float) -> str | None:
    """As much work as a signature is, for those who would learn from the time what is there."""
    digest = hmac.new(_DECOY_KEY, request.body, hashlib.sha256).digest()
    hmac.compare_digest(digest, _DECOY_KEY)
    raise WebhookRefused("there is nobody to compare with")


def _has_files(new: NewExecution) -> bool:
    return new.inputs.startswith("@") or new.trigger.startswith("@")


def _name_key(name: str) -> str:
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"delivery:{digest}"


async def _aside(request: WebhookRequest, work: Callable[[], _T]) -> _T:
    """What ``work`` gives, on a thread of its own where the body is long."""
    return await asyncio.to_thread(work) if len(request.body) > _LONG_BYTES else work()


def read_delivery(hook: Hook, request: WebhookRequest) -> Read:
    """What a delivery holds, if it can be read."""
    if len(request.body) > hook.webhook.max_bytes:
        detail = f"its body of {len(request.body)} bytes is longer than max_bytes"
        return Read({}, "too-large", detail)
    try:
        content = read_content(request.body, request.headers.get("content-type", ""))
    except BodyUnreadable as error:
        return Read({}, "unreadable", str(error))
    private = PRIVATE_HEADERS | hook.webhook.scheme.private()
    about = {
        "method": request.method,
        "path": request.path,
        "headers": {name: v for name, v in request.headers.items() if name not in private},
        "query": dict(request.query),
        "body": content.body,
        "files": [upload.as_json() for upload in content.files],
    }
    return Read(about)


def _known(places: set[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
    """The executions that deliveries were answered with before, by trigger and key."""
    rows = fetch(
        OccurrenceRow.select(
            OccurrenceRow.trigger_id, OccurrenceRow.key, OccurrenceRow.execution_id
        ).where(
            one_of(OccurrenceRow.trigger_id, {trigger for trigger, _ in places})
            & one_of(OccurrenceRow.key, {key for _, key in places})
            & OccurrenceRow.execution_id.is_null(False)
        )
    )
    return {(trigger, key): execution_id for trigger, key, execution_id in rows}


def _idempotency_key(answer: Answer) -> str:
    return (answer.execution.idempotency_key or "") if answer.execution else ""


def _delivered(judged: _Judged, answer: Answer) -> Delivered:
    new = judged.answer.execution
    skipped = answer.decision == "concurrency" and new is not None and new.when_full == "skip"
    return Delivered(
        judged.hook,
        answer.decision,
        answer.detail,
        answer.execution_id,
        judged.fault,
        dropped=skipped or answer.decision in ("no-match", "overlap"),
    )
