"""A session that mends a bot after a failed execution: by a rule where one knows, else by a model.

What it has to show is made from the journal: a test that fails on the bot as it is, and one that
what went well the last time goes as well as before. Both are the house's; no model writes or drops
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml
from codex32.kernel.json_values import JSON
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots.definitions import Definitions
from codex32.services.building.gate import untested
from codex32.services.building.session import Proof
from codex32.services.building.sessions import Order
from codex32.services.cases.recorded import recorded_case
from codex32.services.cases.regression import last_good
from codex32.services.executions import executions, repairing
from codex32.services.executions.diagnosis import Trouble
from codex32.services.executions.repairing import Draft, NothingToRepair

#: What no change of the bot ends, unless a person says which one.
_OUTSIDE: Final = frozenset(
    {
        Trouble.CREDENTIAL,
        Trouble.CAPABILITY,
        Trouble.BUDGET,
        Trouble.RESOURCES,
        Trouble.DECISION,
        Trouble.PLUGIN,
        Trouble.ENDED,
    }
)


class House(NamedTuple):
    """Where executions and bots are read."""

    payloads: PayloadStore
    definitions: Definitions
    reader: Reader


def ordered(execution_id: str, hint: str, order: Order, house: House, workspace: str) -> Order:
    """An order to mend the bot of a failed execution, as it is live; reads rows.

    Args:
      execution_id: Which.
      hint: What the person says about it; where they say something, a model is asked.
      order: With model and budget.
      house: What is read.
      workspace: The execution's.

    Raises:
      ExecutionNotFound: There is no such execution.
      InvalidTransition: It did not fail.
      NothingToRepair: No change of the bot ends the trouble, and the person names none; or the
        bot, or the step that failed, is no longer there.
    """
    made = repairing.draft(execution_id, *house, workspace=workspace)
    return replace(
        order,
        description=f"Repair {made.bot} after {execution_id}. {hint}".strip(),
        bot=made.bot,
        base_version_id=made.version_id,
        repair=_kept(made, hint, house, workspace),
    )


def _kept(made: Draft, hint: str, house: House, workspace: str) -> dict[str, JSON]:
    """What a session keeps of the execution that it repairs."""
    trouble = made.diagnosis.trouble
    if trouble in _OUTSIDE and not hint:
        raise NothingToRepair(
            f"{made.execution} failed of trouble that no change of {made.bot} ends ({trouble}): "
            f"{made.diagnosis.remedy}; else say what is to be changed"
        )
    beneath = made.diagnosis.beneath
    if beneath is not None and beneath.bot != made.bot and not hint:
        raise NothingToRepair(
            f"{made.execution} failed because {beneath.bot} did ({trouble}), and no change of "
            f"{made.bot} ends that; repair {beneath.execution} instead, or say what is to be "
            f"changed of {made.bot}"
        )
    tests: list[JSON] = [dict(made.test)]
    good = last_good(executions.get(made.execution, workspace=workspace))
    if good is not None:
        case = recorded_case(good.id, *house[:2], workspace=workspace)
        tests.append({**case, "name": f"goes as well as {good.id} did"})
    rule: JSON = None
    if made.change is not None and not hint:
        rule = {"change": made.change, "yaml": untested(made.text)}
    failure = asdict(made.failed)
    failure.pop("given")
    return {
        "execution": made.execution,
        "diagnosis": made.diagnosis.as_dict(),
        "failure": failure,
        "rule": rule,
        "tests": tests,
    }


@dataclass(frozen=True, slots=True)
class Mending:
    """What is to be mended.

    Attributes:
      document: The bot as it is, code and tests and all.
      repair: As :attr:`Work.repair`.
    """

    document: Mapping[str, JSON]
    repair: Mapping[str, Any]

    @property
    def tests(self) -> list[JSON]:
        """All that has to pass: the bot's own, and those made from the journal."""
        own: Any = self.document.get("tests", [])
        return [*own, *self.repair["tests"]]

    def before(self) -> str:
        """The bot as it is, with all of them."""
        return to_yaml({**self.document, "tests": self.tests})

    def shown(self, proof: Proof) -> Mending:
        """With what the tests show of the bot as it is; those that fail of old are left out.

        Raises:
          NothingToRepair: The one that has to fail passes.
        """
        regression = self.repair["tests"][0]
        failing = {each["name"] for each in proof.failing}
        if regression["name"] not in failing:
            raise NothingToRepair(
                f"the version that is live does not fail as {self.repair['execution']} did: it "
                "was mended since, or failed of something that is not recorded"
            )
        rest = [each for each in self.repair["tests"][1:] if each["name"] not in failing]
        broken = sorted(map(str, failing - {each["name"] for each in self.repair["tests"]}))
        repair = {**self.repair, "tests": [regression, *rest], "broken": broken}
        return replace(self, repair=repair)

    def weak(self, proof: Proof) -> list[str]:
        """What is wrong with a change, in words a model can act on."""
        broken = self.repair.get("broken", ())
        ran = {each["name"] for each in proof.tests}
        unrun = [each["name"] for each in self.repair["tests"] if each["name"] not in ran]
        return [f"test {name!r} did not run" for name in unrun] + [
            f"test {each['name']!r} fails on the bot: {'; '.join(map(str, each['faults']))}"
            for each in proof.failing
            if each["name"] not in broken
        ]

    @property
    def specification(self) -> dict[str, JSON]:
        """What is wanted, in the place of what a model would have understood."""
        failure, diagnosis = self.repair["failure"], self.repair["diagnosis"]
        step = diagnosis["step"] or "the bot"
        return {
            "purpose": f"mend {self.document['name']}, whose {step} failed in "
            f"{self.repair['execution']} ({diagnosis['trouble']})",
            "failure": failure["message"],
            "remedy": diagnosis["remedy"],
            "assumptions": [
                f"what {each} showed was wrong before, and is left as it is"
                for each in self.repair.get("broken", ())
            ],
        }
