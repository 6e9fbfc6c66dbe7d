"""Checking the ``tests`` of a definition: what they name must be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from codex32.engine import expressions as cel
from codex32.engine.expressions import Scope
from codex32.engine.reading.case_schema import HTTP_MOCKS, LLM_MOCKS, STEP_MOCK, TYPE_MOCKS
from codex32.engine.reading.document import Path
from codex32.engine.reading.telling import Teller
from codex32.engine.values.validation import Validator
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON
from codex32.kernel.text import did_you_mean

#: What the expressions of a test may speak of.
REQUEST: Final = ("request",)
PARAMS: Final = ("params",)
ENDING: Final = ("status", "cause", "message", "output", "steps", "state", "effects", "cost_usd")

_step_mock = Validator(STEP_MOCK, trusted=True)
_http_mocks = Validator(HTTP_MOCKS, trusted=True)
_llm_mocks = Validator(LLM_MOCKS, trusted=True)
_type_mocks = Validator(TYPE_MOCKS, trusted=True)


class CaseChecks:
    """Checks tests against the steps and inputs of their bot and the installed bot types.

    Args:
      tell: Where faults are told.
      steps: Ids of all steps, those of ``on_failure`` and ``finally`` included.
      tools: What their tools are called: step and tool, ``triage.comment``.
      inputs: As the bot declares them.
      types: Names of installed bot types.
    """

    def __init__(
        self,
        tell: Teller,
        steps: Iterable[str],
        tools: Iterable[str],
        inputs: Mapping[str, JSON],
        types: Iterable[str],
    ) -> None:
        self._tell, self._inputs = tell, inputs
        self._steps, self._types = frozenset(steps), frozenset(types)
        #: What a mock may stand for, and what may have an effect.
        self._places = self._steps | frozenset(tools)

    def check(self, path: Path, case: Mapping[str, JSON]) -> None:
        """Check one test whose structure is sound."""
        given = case.get("inputs", {})
        self._known((*path, "inputs"), given, self._inputs, "the bot has no input")
        if (at := case.get("at")) is not None and not _is_moment(at):
            message = f"{at!r} is no time with a zone; write for example 2026-03-01T08:00:00Z"
            self._tell.say((*path, "at"), message)
        for name, mock in case.get("mocks", {}).items():
            self._mock((*path, "mocks", name), name, mock)
        expect = case.get("expect", {})
        where: Path = (*path, "expect")
        self._known((*where, "steps"), expect.get("steps", {}), self._steps, "no step is called")
        for index, effect in enumerate(expect.get("effects", ())):
            if (step := effect.get("step")) is not None and step not in self._places:
                message = f"no step is called {step!r}{did_you_mean(step, self._places)}"
                self._tell.say((*where, "effects", index, "step"), message, "unknown-step")
        for index, text in enumerate(expect.get("that", ())):
            self._condition((*where, "that", index), text, ENDING)

    def _known(self, path: Path, given: Iterable[str], known: Iterable[str], what: str) -> None:
        for name in given:
            if name not in known:
                message = f"{what} {name!r}{did_you_mean(name, known)}"
                self._tell.say((*path, name), message, "unknown-name", key=True)

    def _mock(self, path: Path, name: str, mock: JSON) -> None:
        if name in self._places and not isinstance(mock, list):
            self._tell.findings(path, _step_mock.findings(mock))
            if isinstance(mock, Mapping):
                given = [key for key in ("output", "error", "tries", "items") if key in mock]
                if len(given) != 1:
                    message = "needs one of output, error, tries and items"
                    self._tell.say(path, message, "missing" if not given else "invalid")
        elif name == "http":
            self._tell.findings(path, _http_mocks.findings(mock))
            self._conditions(path, mock, REQUEST)
        elif name == "llm":
            self._tell.findings(path, _llm_mocks.findings(mock))
            self._conditions(path, mock, REQUEST)
        elif name in self._types:
            self._tell.findings(path, _type_mocks.findings(mock))
            self._conditions(path, mock, PARAMS)
        else:
            near = did_you_mean(name, [*self._places, *self._types])
            message = f"neither a step nor a bot type is called {name!r}{near}"
            self._tell.say(path, message, "unknown-step", key=True)

    def _conditions(self, path: Path, mocks: JSON, roots: tuple[str, ...]) -> None:
        for index, mock in enumerate(mocks if isinstance(mocks, list) else ()):
            if isinstance(mock, Mapping) and "if" in mock:
                self._condition((*path, index, "if"), mock["if"], roots)

    def _condition(self, path: Path, text: JSON, roots: tuple[str, ...]) -> None:
        if not isinstance(text, str):
            return
        try:
            inner = cel.bare(text)
        except ExpressionFault as error:
            self._tell.say(path, error.message, "expression")
            return
        start = text.index(inner) if inner else 0
        for fault in cel.find_faults(inner, Scope({name: {} for name in roots}, alone=True)):
            self._tell.say(path, fault.message, "expression", offset=start + fault.offset)


def _is_moment(text: JSON) -> bool:
    try:
        return datetime.fromisoformat(str(text)).tzinfo is not None
    except ValueError:
        return False
