"""What is done in each stage of a session: a model is asked, and held to the house's law.

Nothing here writes a row: a stage gives the session as it is after it. What models answered is
kept by the gateway's journal under the session's id until the stage is written, so that one that
was cut off buys nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml, yaml_text
from codex32.kernel.bot import Bot
from codex32.kernel.clock import from_micros
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.llm import CompletionRequest, ModelMessage
from codex32.kernel.json_values import JSON, loads
from codex32.services.ai.money import usd
from codex32.services.building import prompting
from codex32.services.building.asking import late_questions, questions_of
from codex32.services.building.gate import Gate, Refused, untested
from codex32.services.building.keeping import Former
from codex32.services.building.known import Known
from codex32.services.building.looking import Workshop
from codex32.services.building.mending import Mending
from codex32.services.building.session import Proof, Session
from codex32.services.building.specification import DRAFT, MEND, SPECIFICATION, TESTS
from codex32.services.executions.repairing import NothingToRepair

#: Runs the tests of a bot, by its name, its file and pytest for its Python: on it, on an emptied
#: one, and on mutants.
Prover: TypeAlias = Callable[[str, str, str], Awaitable[Proof]]
#: Characters of an answer that a model is shown again, and of words that people are shown.
_MOST_SHOWN, _LONGEST_NOTE = 20_000, 2000
#: Survivors that a model is told of.
_MOST_SURVIVORS = 15


class Stuck(Exception):
    """A session that cannot go on; the message is for the person.

    Attributes:
      session: As far as it came.
    """

    def __init__(self, session: Session, message: str) -> None:
        super().__init__(message)
        self.session, self.message = session, message


@dataclass(frozen=True, slots=True)
class Rules:
    """How much trouble is taken.

    Attributes:
      rounds: How often a draft, or its tests, may come in all.
      kill_share: Of the planted faults, how many tests must notice.
    """

    rounds: int = 3
    kill_share: float = 0.6


class Asked:
    """Conversation of one stage with the models of its session."""

    def __init__(self, gateway: ModelGateway, session: Session, known: Known) -> None:
        self._gateway, self._session, self._known = gateway, session, known
        self._caller = ModelCaller(
            workspace=session.workspace,
            deadline_at=from_micros(session.deadline_at),
            execution_id=session.id,
            step=session.stage,
            spend_usd={"execution": usd(session.budget_nano)},
            purpose=f"builder {session.id}",
        )

    async def answer(
        self, messages: Sequence[ModelMessage], schema: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the model answers, in the form of ``schema``; no secret goes out.

        Raises:
          StepFault: No model answers, or a budget is used up.
        """
        texts = [each.text for each in messages]
        masked = await asyncio.to_thread(lambda: [self._known.masked(each) for each in texts])
        work = self._session.work
        told = [replace(each, text=text) for each, text in zip(messages, masked, strict=True)]
        request = CompletionRequest(work.model, told, schema=schema)
        completion = await self._gateway.complete(self._caller, request, fallback=work.fallback)
        value: dict[str, Any] = self._masked(completion.value)
        return value

    def _masked(self, value: JSON) -> Any:
        """What a model made up of secrets reaches no row, either."""
        return self._known.masker.mask_value(value)


@dataclass
class Stages:
    """The three stages."""

    gateway: ModelGateway
    reader: Reader
    workshop: Workshop
    prover: Prover
    rules: Rules

    async def run(self, session: Session) -> Session:
        """The session after the stage it is at.

        Raises:
          Stuck: It cannot go on.
          StepFault: No model answers, or a budget is used up.
        """
        known = await self.workshop.known(session.workspace, session.base_version_id)
        asked = Asked(self.gateway, session, known)
        match session.stage:
            case "interpret":
                return await self._interpret(session, known, asked)
            case "compose":
                return await self._compose(session, known, asked)
        return await self._prove(session, known, asked)

    async def _interpret(self, session: Session, known: Known, asked: Asked) -> Session:
        base = await self._base(session)
        messages = await asyncio.to_thread(prompting.interpret, session, known, base)
        value = await asked.answer(messages, SPECIFICATION)
        value = known.masked_value(value)  # it may look like a secret that nobody knows
        questions = questions_of(value, known, session.work)
        specification = {key: each for key, each in value.items() if key != "questions"}
        return session.now(specification=specification, questions=questions)

    async def _compose(self, session: Session, known: Known, asked: Asked) -> Session:
        form = DRAFT
        if session.work.repair:
            form = MEND
            session = await self._shown(session, known)
            if session.work.yaml:
                return session
        gate = self._gate(session, known)
        base = await self._base(session)
        first = messages = await asyncio.to_thread(prompting.compose, session, known, base)
        seen: set[tuple[str, tuple[str, ...]]] = set()
        faults: tuple[str, ...] = ()
        strange: Mapping[str, Sequence[str]] = {}
        for _ in range(self.rules.rounds):
            value = await asked.answer(messages, form)
            text = _drafted(session, value)
            try:
                bot = await asyncio.to_thread(gate.draft, text)
                python = await asyncio.to_thread(_python, gate, bot, session, value)
            except Refused as refused:
                faults, strange = refused.faults, refused.strange
                if (text, faults) in seen:  # it will say so for ever
                    break
                seen.add((text, faults))
                messages = prompting.again(first, text[:_MOST_SHOWN], faults)
                continue
            notes = _short(known.masked(value["notes"]))
            return session.now(yaml=_written(bot), python=python, notes=notes)
        if questions := late_questions(session.work, strange):
            return session.now(questions=(*session.work.questions, *questions))
        told = "; ".join(faults)
        raise Stuck(session, f"no draft was without faults; of the last one: {told}")

    async def _prove(self, session: Session, known: Known, asked: Asked) -> Session:
        gate = self._gate(session, known)
        if session.work.repair:
            return await self._mended(session, known, gate, asked)
        # One that was proved before has tests; here they are written anew.
        text = await asyncio.to_thread(untested, session.work.yaml)
        try:
            bot = await asyncio.to_thread(gate.draft, text)
        except Refused as refused:  # the house is other than it was when this was written
            raise Stuck(session, f"the draft no longer fits: {refused}") from None
        former = await self._former(session)
        # Those of one that was proved before may hold what no model is to be told.
        session = session.now(yaml=text, python_before=former.python)
        told = ""
        if former.tests:
            told = await asyncio.to_thread(yaml_text, known.heard_value(former.tests))
        first = messages = await asyncio.to_thread(prompting.test, session, known, told)
        returned, faults = 0, ["there are no tests"]
        for _ in range(self.rules.rounds + 1):
            value = await asked.answer(messages, TESTS)
            try:
                if value["yaml"].strip():
                    bot = await asyncio.to_thread(gate.draft, value["yaml"])
                    session = session.now(yaml=_written(bot))
                tests = value["tests"], former.tests
                tested = await asyncio.to_thread(gate.with_tests, bot, *tests)
                pytest = value["python"], former.python
                python = await asyncio.to_thread(gate.python, bot, *pytest)
            except Refused as refused:
                faults = _told(known, former.tests, refused.faults)
            else:
                text = _written(tested)
                proof = await self.prover(tested.name, text, python)
                faults = _told(known, former.tests, self.weak(session, proof))
                proved = session.now(yaml=text, python=python, proof=proof)
                if not faults:
                    return proved
                if not proof.failing and returned:  # survivors go back once
                    raise Stuck(proved, f"its tests do not prove it: {'; '.join(faults)}")
                returned += not proof.failing
            said = f"{value['tests'][:_MOST_SHOWN]}\n{value['python'][:_MOST_SHOWN]}".rstrip()
            messages = prompting.again(first, said, faults)
        raise Stuck(session, f"no tests were found that prove it: {'; '.join(faults)}")

    async def _shown(self, session: Session, known: Known) -> Session:
        """What is to be mended fails as it did; the change of a rule, where one knows it."""
        mending = await self._mending(session)
        python = (await self._former(session)).python
        try:
            text = await asyncio.to_thread(mending.before)
            mending = mending.shown(await self.prover(str(session.bot), text, python))
        except NothingToRepair as error:
            raise Stuck(session, error.message) from None
        repair = {**mending.repair}
        # What is recorded elsewhere tells that a word of the failure is a password.
        _, specification = known.heard_value([repair, mending.specification])
        session = session.now(
            repair=repair, specification=specification, python_before=python, python=python
        )
        rule = repair["rule"]
        return session if rule is None else session.now(yaml=rule["yaml"], notes=rule["change"])

    async def _mended(self, session: Session, known: Known, gate: Gate, asked: Asked) -> Session:
        """The change passes all tests, or goes back to the model with what they say."""
        mending = await self._mending(session)
        tests = await asyncio.to_thread(yaml_text, mending.tests)
        base = await self._base(session)
        first = await asyncio.to_thread(prompting.compose, session, known, base)
        text = await asyncio.to_thread(untested, session.work.yaml)
        value: Mapping[str, Any] = {"python": session.work.python}
        faults: list[str] = []
        for left in reversed(range(self.rules.rounds + 1)):
            try:
                bot = await asyncio.to_thread(gate.draft, text)
                tested = await asyncio.to_thread(gate.with_tests, bot, tests)
                python = await asyncio.to_thread(_python, gate, bot, session, value)
            except Refused as refused:
                faults = _told(known, mending.tests, refused.faults)
            else:
                proof = await self.prover(tested.name, _written(tested), python)
                session = session.now(yaml=_written(tested), python=python, proof=proof)
                faults = _told(known, mending.tests, mending.weak(proof))
                if not faults and python != session.work.python_before:
                    faults = _hollow(proof)
                if not faults:
                    return session
            if left:
                value = await asked.answer(
                    prompting.again(first, text[:_MOST_SHOWN], faults), MEND
                )
                text = _drafted(session, value)
                session = session.now(notes=_short(known.masked(value["notes"])))
        raise Stuck(session, f"no change was found that mends it: {'; '.join(faults)}")

    async def _mending(self, session: Session) -> Mending:
        version = await self.workshop.base(session)
        if version is None:
            raise Stuck(session, f"the version of {session.bot} that failed is gone")
        document = self.reader.self_contained(loads(version.document))
        return Mending(document, session.work.repair)

    def weak(self, session: Session, proof: Proof) -> list[str]:
        """What is wrong with tests, in words a model can act on; nothing where they prove it."""
        if session.work.repair:
            return Mending({}, session.work.repair).weak(proof)
        if proof.failing:
            return [
                f"test {each['name']!r} fails on the bot: {'; '.join(map(str, each['faults']))}"
                for each in proof.failing
            ]
        if len(proof.hollow) == len(proof.tests):
            return ["a bot that does nothing passes these tests, so they prove nothing"]
        if hollow := _hollow(proof):
            return hollow
        if proof.share >= self.rules.kill_share:
            return []
        told = f"they notice {proof.killed} of {proof.mutants} planted faults; not these:"
        return [told, *proof.survivors[:_MOST_SURVIVORS]]

    def _gate(self, session: Session, known: Known) -> Gate:
        return Gate(self.reader, known, session.work.words, session.bot)

    async def _base(self, session: Session) -> str:
        """The bot that is refined as YAML, without its tests; empty for a new one."""
        version = await self.workshop.base(session)
        if version is None:
            return ""
        document = self.reader.self_contained(loads(version.document))
        document.pop("tests", None)
        return await asyncio.to_thread(to_yaml, document)

    async def _former(self, session: Session) -> Former:
        """The tests of the bot that is refined or mended."""
        version = await self.workshop.base(session)
        if version is None:
            return Former()
        tests = loads(version.document).get("tests", [])
        return Former(tests, await self.workshop.python_tests(version))


def _drafted(session: Session, value: Mapping[str, Any]) -> str:
    """The bot file of an answer in the form of ``DRAFT``.

    Raises:
      Stuck: The model says why there is none.
    """
    text: str = value["yaml"]
    why = value["impossible"].strip()
    if why and not text.strip():
        raise Stuck(session, f"the model says that it cannot be built: {_short(why)}")
    return text


def _python(gate: Gate, bot: Bot, session: Session, value: Mapping[str, Any]) -> str:
    """The pytest for a bot that is mended; of others it is written later."""
    if not session.work.repair:
        return ""
    return gate.python(bot, value["python"], session.work.python_before, needed=False)


def _told(known: Known, tests: Sequence[JSON], faults: Sequence[str]) -> list[str]:
    """What tests say, which repeats recorded data: without what these call a password, too."""
    _, told = known.heard_value([list(tests), list(faults)])
    return list(told)


def _hollow(proof: Proof) -> list[str]:
    """What is wrong with pytest that passes on code that does nothing."""
    if proof.python and set(proof.python) <= set(proof.hollow):
        return ["python: code that does nothing passes these tests, so they prove nothing"]
    return []


def _written(bot: Bot) -> str:
    """A draft as it is shown: what it says, and nothing that stood in comments."""
    return to_yaml(bot.document)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_NOTE else f"{text[: _LONGEST_NOTE - 1]}…"
