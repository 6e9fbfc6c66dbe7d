"""One call of a step: as many requests as it takes, each reserved, bounded, judged and booked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.llm import Completion, CompletionRequest, Usage
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON
from codex32.kernel.model_errors import ModelFault
from codex32.kernel.redaction import scrub
from codex32.services.ai import journal, prices
from codex32.services.ai.answer import Answer, Reader
from codex32.services.ai.sendable import sendable
from codex32.services.ai.structured import Form, Rung, Unfit, repaired, rungs_of
from codex32.services.ai.targets import Named, Target
from codex32.services.ai.till import Ticket
from codex32.services.ai.verdicts import VERDICTS, fault_of, in_hand, money, pause_seconds

if TYPE_CHECKING:
    from codex32.services.ai.gateway import Parts

log = logging.getLogger(__name__)

_MASK = "********"
#: Of what a service says, in errors.
_LONGEST_MESSAGE = 500


class Call:
    """What one step asks for, and what became of it so far.

    Attributes:
      begun: Whether pieces of an answer were handed out: from then on nothing is tried anew.
      bought: Under which keys answers were kept.
    """

    def __init__(
        self,
        parts: Parts,
        caller: ModelCaller,
        request: CompletionRequest,
        on_text: Callable[[str], None] | None,
    ) -> None:
        self._parts, self._caller, self._request = parts, caller, sendable(request)
        self._on_text = on_text
        self.begun = False
        self.bought: list[str] = []
        self._usage = Usage(0, 0)
        self._cost = 0
        self._replayed = False

    async def resumed(self, chain: Sequence[Named]) -> Sequence[Named]:
        """The chain, from where it was left: before the others those who answered already.

        Else a model that was down then, and is not now, would be paid for what another one
        answered.
        """
        if len(chain) == 1 or self._caller.execution_id is None:
            return chain
        keys = {named.name: self._first_keys(named) for named in chain}
        kept = await self._parts.journal.kept(set().union(*keys.values()))
        return sorted(chain, key=lambda named: kept.isdisjoint(keys[named.name]))

    async def ask(self, target: Target) -> Completion:
        """The answer of one model, fit and whole.

        Raises:
          ModelFault: It does not give one.
          BudgetExceeded: It may cost too much.
        """
        request, memory, name = self._for(target), self._parts.memory, target.deployment.name
        if not memory.refused(name, "temperature"):
            try:
                return await self._asked(target, request)
            except ModelFault as fault:
                if not _of_temperature(fault, request):
                    raise
            memory.refuse(name, "temperature")
        return await self._asked(target, replace(request, temperature=None))

    async def _asked(self, target: Target, request: CompletionRequest) -> Completion:
        if request.schema is None:
            return self._completed(target, await self._tried(target, request))
        rungs = rungs_of(target.info, with_tools=bool(request.tools))
        rungs = self._parts.memory.left(target.deployment.name, rungs)
        for rung in rungs[:-1]:
            try:
                return await self._formed(target, request, rung)
            except ModelFault as fault:
                if fault.kind != "unsupported" or _of_temperature(fault, request):
                    raise
                if fault.status is not None:  # else it was not sent, for this schema alone
                    self._parts.memory.refuse(target.deployment.name, rung)
        return await self._formed(target, request, rungs[-1])

    def _for(self, target: Named) -> CompletionRequest:
        return _fitted(self._request, target, self._parts.rules.max_tokens)

    async def _formed(self, target: Target, request: CompletionRequest, rung: Rung) -> Completion:
        """An answer that fits the schema, after repairs if need be."""
        assert request.schema is not None
        form = Form(request.schema)
        first = asked = form.asked(request, rung)
        seen: set[tuple[str, tuple[str, ...]]] = set()
        faults: tuple[str, ...] = ()
        for _ in range(self._parts.rules.repairs + 1):
            answer = await self._tried(target, asked, quiet=True)
            if answer.tool_calls and rung != "tool":
                return self._completed(target, answer)
            try:
                return self._completed(target, answer, form.read(answer, rung))
            except Unfit as unfit:
                faults = unfit.faults
            said = (answer.text + repr(answer.tool_calls), faults)
            if said in seen:  # it will say so for ever
                break
            seen.add(said)
            asked = repaired(first, answer, faults)
        told = "; ".join(faults)[:_LONGEST_MESSAGE]
        message = f"{target.name} did not answer as the schema has it: {told}"
        raise ModelFault("invalid", message, billed="yes")

    async def _tried(
        self, target: Target, request: CompletionRequest, *, quiet: bool = False
    ) -> Answer:
        """An answer, at the second try if the first shows that another may help."""
        try:
            return await self._attempt(target, request, quiet)
        except ModelFault as fault:
            pause = pause_seconds(fault, self._left())
            if self.begun or not VERDICTS[fault.kind].again or pause is None:
                raise
            if fault.kind == "truncated":
                request = self._roomier(target, request, fault)
        await asyncio.sleep(pause)
        return await self._attempt(target, request, quiet)

    def _roomier(
        self, target: Target, request: CompletionRequest, fault: ModelFault
    ) -> CompletionRequest:
        """The request with room for twice as long an answer, if the model can give one."""
        assert request.max_tokens is not None
        if self._request.max_tokens is not None:  # whoever set a limit meant it
            raise fault
        most = target.info.output_tokens if target.info else None
        roomier = min(request.max_tokens * 2, most or request.max_tokens * 2)
        if roomier <= request.max_tokens:
            raise fault
        return replace(request, max_tokens=roomier)

    async def _attempt(self, target: Target, request: CompletionRequest, quiet: bool) -> Answer:
        """One request: from the journal if it was made before, else made, bounded and booked."""
        place = self._place(target, request)
        with place or nullcontext():
            key = None if place is None else place.key
            answer = None if key is None else await self._bought(key)
            if answer is None:
                answer = await self._buy(target, request, key, quiet)
            elif self._on_text is not None and not quiet and answer.text:
                self.begun = True
                self._on_text(answer.text)
        return _judged(target, request, answer)

    async def _buy(
        self, target: Target, request: CompletionRequest, key: str | None, quiet: bool
    ) -> Answer:
        parts = self._parts
        seconds = min(parts.rules.call_seconds, self._left())
        if seconds <= 0:
            raise ModelFault("timeout", "no time is left for another request")
        rest = await parts.breakers.rest(target.deployment, probe_seconds=seconds + 1)
        if rest is not None:
            raise rest.fault(target.name)
        most = _most(target, request)
        ticket = await parts.till.open(self._caller, target.name, target.tariff, most, seconds)
        try:
            answer = await self._sent(target, request, ticket, seconds, quiet, most)
            await self._book(ticket, answer, key)
        finally:
            ticket.leave()
        await parts.breakers.succeeded(target.deployment)
        return answer

    async def _sent(
        self,
        target: Target,
        request: CompletionRequest,
        ticket: Ticket,
        seconds: float,
        quiet: bool,
        most: Usage,
    ) -> Answer:
        reader = Reader(None if quiet else self._on_text, most)
        fault_point("model.before_sending")
        try:
            less = in_hand(seconds)
            stream = target.provider.complete(request, timeout_seconds=less, key=target.key)
            answer = await reader.read(stream, seconds)
        except Exception as error:
            self.begun |= reader.begun
            fault = _named(target, fault_of(error))
            if reader.usage is not None:  # it said what it will want before it failed
                end = ticket.ending("settled", usage=reader.usage, fault=fault.kind)
            else:
                end = ticket.ending(money(fault), fault=fault.kind)
            self._add(reader.usage, await ticket.settle(end))
            await self._parts.breakers.failed(target.deployment, fault)
            if VERDICTS[fault.kind].loud:
                log.warning("%s", fault.message)
            raise fault from None
        self.begun |= reader.begun
        fault_point("model.answered")
        return answer

    async def _book(self, ticket: Ticket, answer: Answer, key: str | None) -> None:
        """Settle an answer, and keep it for whoever asks the same again."""
        kept = None
        if key is not None and self._caller.execution_id is not None:
            text = await self._parts.journal.pack(self._caller.execution_id, answer)
            kept = (key, self._caller.execution_id, text)
            self.bought.append(key)
        fault = {"length": "truncated", "refused": "refused"}.get(answer.reason)
        end = ticket.ending(
            "assumed" if answer.usage is None else "settled",
            usage=answer.usage,
            fault=fault,
            answered_by=answer.model,
            request_id=answer.request_id,
            answer=kept,
        )
        self._add(answer.usage, await ticket.settle(end))

    async def _bought(self, key: str) -> Answer | None:
        found = await self._parts.journal.find(key)
        if found is None:
            return None
        answer, usage, cost = found
        self.bought.append(key)
        self._replayed = True
        self._add(usage, cost)
        return answer

    def _place(self, named: Named, request: CompletionRequest) -> journal.Place | None:
        return journal.next_place(self._caller, replace(request, model=named.name))

    def _first_keys(self, named: Named) -> set[str]:
        """Under what its answer is kept, on whichever rung and however warm it gave one."""
        try:
            request = self._for(named)
        except ModelFault:  # it is not asked at all
            return set()
        asked = [request]
        if request.schema is not None:
            form = Form(request.schema)
            rungs = rungs_of(named.info, with_tools=bool(request.tools))
            asked = [form.asked(request, rung) for rung in rungs]
        asked += [replace(each, temperature=None) for each in asked]
        places = [self._place(named, each) for each in asked]
        return {place.key for place in places if place is not None}

    def _left(self) -> float:
        return (self._caller.deadline_at - self._parts.clock.now()).total_seconds()

    def _add(self, usage: Usage | None, cost: int | None) -> None:
        self._cost += cost or 0
        if usage is not None:
            self._usage = _sum(self._usage, usage)

    def _completed(self, target: Target, answer: Answer, value: JSON = None) -> Completion:
        own = bool(answer.tool_calls) and bool(self._request.tools)
        return Completion(
            text=answer.text,
            value=value,
            tool_calls=tuple(answer.tool_calls) if own else (),
            model=target.name,
            reason="tools" if own else "stop",
            usage=self._usage,
            cost_nano_usd=self._cost,
            replayed=self._replayed,
        )


def _most(target: Target, request: CompletionRequest) -> Usage:
    """The most tokens that it can take."""
    assert request.max_tokens is not None
    sent = prices.most_tokens(request)
    window = target.info.context_tokens if target.info else None
    return Usage(sent if window is None else min(sent, window), request.max_tokens)


def _fitted(request: CompletionRequest, target: Named, max_tokens: int) -> CompletionRequest:
    """The request as this model can take it, its answer bounded."""
    info = target.info
    most = request.max_tokens or max_tokens
    if info is not None and info.output_tokens is not None:
        most = min(most, info.output_tokens)
    able = None if info is None else info.capabilities
    temperature = request.temperature
    if temperature is not None and able is not None and "temperature" not in able:
        log.info("%s takes no temperature; it is left out", target.name)
        temperature = None
    if able is not None:
        pictures = any(message.images for message in request.messages)
        for wanted, there in (("tools", request.tools), ("images", pictures)):
            if there and wanted not in able:
                raise ModelFault("unsupported", f"{target.name} takes no {wanted}")
    return replace(request, model=target.model, max_tokens=most, temperature=temperature)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_input_tokens + other.cached_input_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
    )


def _of_temperature(fault: ModelFault, request: CompletionRequest) -> bool:
    """Whether a model whose abilities nobody knows did not like to be told a temperature."""
    told = request.temperature is not None and fault.kind == "unsupported"
    return told and "temperature" in fault.message


def _judged(target: Target, request: CompletionRequest, answer: Answer) -> Answer:
    """An answer that is whole and says something; all others are faults, and paid."""
    if answer.reason == "refused":
        message = f"{target.name} would not answer{': ' * bool(answer.detail)}{answer.detail}"
        raise ModelFault("refused", message[:_LONGEST_MESSAGE], billed="yes")
    if answer.reason == "length":
        raise ModelFault("truncated", f"{target.name}: the answer was cut off", billed="yes")
    # Calls of tools that nobody offered are nothing, too.
    if not answer.text.strip() and not (answer.tool_calls and request.tools):
        raise ModelFault("malformed", f"{target.name} answered nothing", billed="yes")
    return answer


def _named(target: Target, fault: ModelFault) -> ModelFault:
    """The fault with the model's name in front, and without the key that services echo."""
    message = fault.message
    if target.key:
        message = message.replace(target.key, _MASK)
    message = scrub(message)
    message = message if message.startswith(target.name) else f"{target.name}: {message}"
    return ModelFault(
        fault.kind,
        message[:_LONGEST_MESSAGE],
        status=fault.status,
        retry_after_seconds=fault.retry_after_seconds,
        billed=fault.billed,
    )
