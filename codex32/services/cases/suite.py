"""All tests of one bot, tried together on it or on another that should not pass them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codex32.kernel.bot import Bot
from codex32.services.cases.case import cases_of
from codex32.services.cases.python_tests import PythonTests, python_of, run_python_tests
from codex32.services.cases.trying import Trials

#: Seconds that a test may take on a bot that is wrong: it may go round for ever.
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Suite:
    """Those that stand in the bot's file, and pytest for its Python; all pass on ``bot``.

    Attributes:
      neighbours: The other bots of its folder, whose steps Python tests may ask for, too.
      python_names: Tests of Python, as they were told when they ran on ``bot``.
    """

    bot: Bot
    trials: Trials
    python: PythonTests | None = None
    neighbours: Sequence[Bot] = ()
    python_names: Sequence[str] = ()

    async def tried(self, bot: Bot) -> dict[str, bool]:
        """Whether each test passes on ``bot``."""
        came: dict[str, bool] = {}
        for case in cases_of(self.bot):
            verdict = await self.trials.run(replace(case, bot=bot), limit_seconds=_PATIENCE)
            came[case.name] = verdict.passed and came.get(case.name, True)
        if self.python is not None:
            came |= await self._python(bot, self.python)
        return came

    async def _python(self, bot: Bot, tests: PythonTests) -> dict[str, bool]:
        if python_of(bot) == python_of(self.bot):
            return dict.fromkeys(self.python_names, True)
        verdicts = await run_python_tests(
            tests,
            [bot, *self.neighbours],
            self.trials.programs,
            origin=self.trials.origin,
            timeout_seconds=_PATIENCE,
        )
        passed = {each.name for each in verdicts if each.passed}
        return {name: name in passed for name in self.python_names}
