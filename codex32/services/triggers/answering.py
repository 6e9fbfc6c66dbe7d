"""What a trigger does about a happening: an execution, or the reason why there is none."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from codex32.engine.expressions import compile_condition, compile_template
from codex32.kernel.bot import Trigger
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import JSON, canonical
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots.definitions import Definitions
from codex32.services.executions.starting import MAX_DEPTH, Start, Subject, prepare
from codex32.services.presentation import iso
from codex32.services.triggers.occurrences import Answer, Due, live_triggers

log = logging.getLogger(__name__)


@contextmanager
def faults_noted(answer: Answer) -> Iterator[None]:
    """What cannot be answered because of a fault is ``invalid``; the others are answered."""
    try:
        yield
    except Codex32Error as error:
        answer.decision, answer.detail = "invalid", error.message
    except Exception as error:
        due = answer.due
        log.exception("a trigger of %s cannot be answered", due.bot_name, extra=due.about)
        answer.decision, answer.detail = "invalid", repr(error)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a trigger answers, other than a time.

    Attributes:
      key: Unique in the trigger: whatever has this key is answered once.
      at: When it happened, in microseconds.
      about: What expressions see of it in ``trigger``, beside ``kind`` and ``at``.
      chain: The bots whose doings led to it, oldest first.
    """

    key: str
    at: int
    about: Mapping[str, JSON]
    chain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """That a trigger answer a happening."""

    due: Due
    trigger: Trigger
    happening: Happening


class Answerer:
    """Decides about happenings; called in a write."""

    def __init__(self, definitions: Definitions, payloads: PayloadStore) -> None:
        self._definitions, self._payloads = definitions, payloads

    def answer(self, questions: Sequence[Question], now: int) -> list[Answer]:
        """An answer to each, in their order; nothing is written yet."""
        careful = [q.due.id for q in questions if q.trigger.overlap == "skip"]
        live = live_triggers(careful) if careful else set()
        answers = []
        for question in questions:
            answer = self.decide(question, now, live=question.due.id in live)
            if answer.decision == "fired":
                live.add(question.due.id)
            answers.append(answer)
        return answers

    def decide(self, question: Question, now: int, *, live: bool = False) -> Answer:
        """An answer to one; ``live`` says whether an execution of its trigger has not ended."""
        due, happening = question.due, question.happening
        answer = Answer(due, happening.at, key=happening.key, chain=happening.chain)
        with faults_noted(answer):
            self._decide(answer, question, live, now)
        return answer

    def _decide(self, answer: Answer, question: Question, live: bool, now: int) -> None:
        due, trigger, happening = question.due, question.trigger, question.happening
        about: dict[str, JSON] = {
            "kind": trigger.kind,
            "at": iso(happening.at),
            **happening.about,
        }
        scope = {"trigger": about, "bot": {"name": due.bot_name, "version": due.number}}
        refusal = _refusal(question, scope, live)
        if refusal is not None:
            answer.decision, answer.detail = refusal
            return
        assert due.version_id is not None
        assert due.number is not None
        key = None
        if trigger.dedupe is not None:
            key = dedupe_key(due.id, compile_template(trigger.dedupe).evaluate(scope))
        start = Start(
            bot=due.bot_name,
            inputs=compile_template(trigger.inputs).evaluate(scope),
            trigger=about,
            trigger_id=due.id,
            depth=len(happening.chain),
            idempotency_key=key,
            in_turn=trigger.overlap == "queue",
            workspace=due.workspace,
        )
        bot = self._definitions.terms(due.version_id)
        subject = Subject(due.bot_id, due.bot_name, due.version_id, due.number, bot)
        answer.execution = prepare(start, subject, self._payloads, now)


def _refusal(question: Question, scope: Mapping[str, JSON], live: bool) -> tuple[str, str] | None:
    """The decision and its detail, where nothing is to be started."""
    due, trigger, chain = question.due, question.trigger, question.happening.chain
    if due.paused:
        return "paused", ""
    if due.version_id is None or due.number is None:
        return "invalid", "the bot has never been without faults"
    condition = trigger.condition
    if condition is not None and not compile_condition(condition).evaluate(scope):
        return "no-match", f"`if` is false: {condition}"
    way = " → ".join(chain)
    if due.bot_name in chain:
        return "depth", f"a bot does not answer what it caused itself: {way}"
    if len(chain) > MAX_DEPTH:
        return "depth", f"bots have started each other {MAX_DEPTH} times: {way}"
    if live and trigger.overlap == "skip":
        return "overlap", "an earlier execution is still going on"
    return None


def dedupe_key(trigger_id: str, value: JSON) -> str:
    """The idempotency key of what ``dedupe`` yields."""
    return f"trigger:{trigger_id}:{hashlib.sha256(canonical(value).encode()).hexdigest()}"
