"""What stands in for models while a test runs: the answers of ``mocks.llm``, from the top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from codex32.kernel.contracts.embedder import EmbeddingPurpose, Vector
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.llm import Completion, CompletionRequest, ToolCall
from codex32.kernel.errors import CapabilityRefused, StepFault
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.model_errors import BudgetExceeded
from codex32.services.ai.money import nano, usd
from codex32.services.ai.structured import Form, Unfit
from codex32.services.cases.case import holds


class ModelDouble(ModelGateway):
    """Answers as a test says; no model is called, and nothing is paid.

    Attributes:
      cost_nano_usd: What the answers would have cost, as the test says.
    """

    def __init__(
        self, rules: Sequence[Mapping[str, Any]], uncovered: Callable[[str], StepFault]
    ) -> None:
        self._rules, self._uncovered = rules, uncovered
        self._served: dict[int, int] = {}
        self.cost_nano_usd = 0

    async def complete(
        self,
        caller: ModelCaller,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """The answer of the first rule that fits and is not used up."""
        for name in (request.model, *fallback):
            allowed = caller.models is None or any(fnmatchcase(name, p) for p in caller.models)
            if not allowed:
                raise CapabilityRefused("models", name)
        rule = self._rule(caller, request)
        if "error" in rule:
            raise StepFault(
                rule["error"],
                retryable=rule.get("retryable", False),
                code=rule.get("code", "mocked"),
            )
        cost = nano(Decimal(str(rule.get("cost_usd", 0))))
        self._afford(caller, cost)
        self.cost_nano_usd += cost
        output = rule.get("output", "")
        calls = tuple(
            ToolCall(f"call_{number}", call["name"], call.get("arguments", {}))
            for number, call in enumerate(rule.get("calls", ()), 1)
        )
        value: JSON = None
        if request.schema is not None and not calls:
            value = _fit(caller, request.schema, output)
        text = output if isinstance(output, str) else dumps(output)
        if on_text is not None and text:
            on_text(text)
        reason = "tools" if calls else "stop"
        return Completion(
            text,
            value,
            calls,
            request.model,
            reason,  # type: ignore[arg-type]
            cost_nano_usd=cost,
        )

    async def embed(
        self,
        caller: ModelCaller,
        texts: Sequence[str],
        *,
        embedder: str,
        purpose: EmbeddingPurpose = "document",
    ) -> Sequence[Vector]:
        """Vectors come from outside, too."""
        raise self._uncovered(f"step {caller.step} would ask the embedder {embedder}")

    def _afford(self, caller: ModelCaller, cost: int) -> None:
        """Hold what a test says that models cost to what the bot may spend, as the ledger does."""
        for period, most in caller.spend_usd.items():
            left = nano(most) - self.cost_nano_usd
            if cost > left:
                raise BudgetExceeded(
                    f"the answer costs {usd(cost):g} USD, as the mock says, and {usd(left):g} USD "
                    f"of the bot's budget are left (allow.spend_usd.{period})",
                    scope=period,
                    limit_nano_usd=nano(most),
                )

    def _rule(self, caller: ModelCaller, request: CompletionRequest) -> Mapping[str, Any]:
        shown = _shown(request)
        for number, rule in enumerate(self._rules):
            if self._served.get(number, 0) >= rule.get("times", float("inf")):
                continue
            fits = fnmatchcase(request.model, rule.get("model", "*"))
            if fits and holds(rule.get("if", True), {"request": shown}):
                self._served[number] = self._served.get(number, 0) + 1
                return rule
        words = str(shown["prompt"])[:80]
        raise self._uncovered(f"step {caller.step} would ask {request.model}: {words!r}")


def _shown(request: CompletionRequest) -> dict[str, JSON]:
    """A request as conditions see it."""
    users = [message.text for message in request.messages if message.role == "user"]
    systems = [message.text for message in request.messages if message.role == "system"]
    return {
        "model": request.model,
        "prompt": users[-1] if users else "",
        "system": "\n".join(systems),
        "messages": [{"role": m.role, "content": m.text} for m in request.messages],
        "tools": [tool.name for tool in request.tools],
    }


def _fit(caller: ModelCaller, schema: Mapping[str, Any], output: JSON) -> JSON:
    """The output of a mock, if the real model could have given it."""
    form = Form(schema)
    try:
        return form.checked(output)
    except Unfit as unfit:
        raise StepFault(
            f"the mock's output does not fit the schema of {caller.step}: {unfit}", code="mocked"
        ) from None
