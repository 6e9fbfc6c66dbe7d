"""The contract of bot types as tests."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from codex32 import BotType, Effect, Outcome, Problem, StepContext, Succeeded, Waiting
from codex32.kernel.json_values import is_json
from codex32_testing.conformance.shared import faults, fits


class BotTypeSuite:
    """Subclass it, give the fixture ``bot_type``, and list cases.

    Attributes:
      cases: ``(params, output)`` pairs, tried in the fixture ``context``; an outcome may stand
        in the place of the output.
      wrong: Params that the schema or ``check`` must refuse.
      literal: Parameters that hold code and so take no expressions.
    """

    cases: ClassVar[Sequence[tuple[Mapping[str, Any], Any]]] = ()
    wrong: ClassVar[Sequence[Mapping[str, Any]]] = ()
    literal: ClassVar[frozenset[str]] = frozenset()

    @pytest.fixture
    def bot_type(self) -> BotType:
        """The bot type to try."""
        pytest.fail(f"{type(self).__name__} needs a fixture called bot_type")

    @pytest.fixture
    def context(self, step_context: StepContext) -> StepContext:
        """What the step may do; override it to write answers down."""
        return step_context

    def test_the_house_takes_it(self, bot_type: BotType) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("bot_types", bot_type) == []

    def test_it_says_what_it_does_in_one_line(self, bot_type: BotType) -> None:
        """``codex32 plugins`` prints the summary."""
        assert bot_type.summary.strip()
        assert "\n" not in bot_type.summary

    def test_an_unknown_parameter_is_refused(self, bot_type: BotType) -> None:
        """A misspelt parameter must not pass in silence."""
        assert bot_type.params_schema.get("additionalProperties") is False

    def test_every_parameter_is_described(self, bot_type: BotType) -> None:
        """Editors and the reference show the descriptions."""
        properties = bot_type.params_schema.get("properties", {})
        assert [name for name, schema in properties.items() if not schema.get("description")] == []

    def test_there_are_cases(self) -> None:
        """A suite without cases would prove nothing about ``run``."""
        assert self.cases, f"{type(self).__name__}.cases is empty"

    def test_good_params_are_let_through(self, bot_type: BotType) -> None:
        """What the cases use fits the schema and ``check``."""
        for params, _ in self.cases:
            assert fits(bot_type.params_schema, params), params
            assert list(bot_type.check(params)) == []

    def test_wrong_params_are_refused(self, bot_type: BotType) -> None:
        """Faults are told when the file is read, not when the step runs."""
        for params in self.wrong:
            if fits(bot_type.params_schema, params):
                problems = list(bot_type.check(params))
                assert problems, f"neither the schema nor check refuses {params}"
                assert all(isinstance(problem, Problem) for problem in problems)

    def test_check_lets_expressions_through(self, bot_type: BotType) -> None:
        """Expressions are not evaluated yet when ``check`` is asked."""
        for params, _ in self.cases:
            later = dict.fromkeys(params.keys() - self.literal, "${{ inputs.x }}")
            assert list(bot_type.check({**params, **later})) == []

    def test_the_effect_is_known_before_it_happens(self, bot_type: BotType) -> None:
        """The ledger must know what it guards."""
        for params, _ in self.cases:
            assert isinstance(bot_type.effect(params), Effect)

    @pytest.mark.asyncio
    async def test_each_case_gives_its_output(
        self, bot_type: BotType, context: StepContext
    ) -> None:
        """The output is JSON, fits what was declared, and ``params`` are left as they were."""
        for params, output in self.cases:
            given = copy.deepcopy(dict(params))
            outcome = await bot_type.run(context, given)
            assert given == params
            assert outcome == (output if isinstance(output, Outcome) else Succeeded(output))
            if isinstance(outcome, Waiting) and outcome.approval is not None:
                assert outcome.approval.text.strip()
                assert is_json(dict(outcome.approval.form))
                assert not isinstance(outcome.approval.to, str)
            if isinstance(outcome, Succeeded):
                assert is_json(outcome.output)
                assert is_json(dict(outcome.state))
                assert fits(bot_type.output_schema, outcome.output)
