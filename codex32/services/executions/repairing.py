"""Repairing a failed execution: a draft of its bot, with a test that failed and now passes.

The kind of trouble is told by the rules of ``diagnosis``. Where a rule knows what helps, the draft
holds that change; else it holds the test alone, which fails until somebody has mended the bot, or
a model has (``services.building.mending``). It is a draft of the version that is live by now.
Nothing is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml
from codex32.engine.records.parts import step_of
from codex32.kernel.errors import BotInvalid, Codex32Error, InvalidTransition
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import ExecutionRow, VersionRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bots, provenance
from codex32.services.bots.authoring import as_yaml
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.merging import merge
from codex32.services.cases.apart import Report, try_apart
from codex32.services.cases.regression import failed_of, regression
from codex32.services.cases.stand_ins import Failed
from codex32.services.executions import executions
from codex32.services.executions.diagnosis import Diagnosis, Trouble, diagnose

_RETRY: Final[Mapping[str, JSON]] = {"attempts": 5, "first": "10s", "max": "5m"}


class NothingToRepair(Codex32Error):
    """No change of the bot mends this; the message says what does."""

    code = "nothing-to-repair"


@dataclass(frozen=True, slots=True)
class Draft:
    """What might mend a bot, not yet tried.

    Attributes:
      version_id: Of the version that is live: what is repaired.
      failed: The step that it failed of, as that is recorded.
      test: Made from the journal of the execution; passes on a bot that is mended.
      before: The bot's file with that test.
      text: The same with the change; the same as ``before`` where no rule knows one.
      change: In words; None where no rule knows one.
      origin: ``builder`` where a model wrote any of its code, else ``file``.
    """

    execution: str
    bot: str
    version_id: str
    diagnosis: Diagnosis
    failed: Failed
    test: Mapping[str, JSON]
    before: str
    text: str
    change: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Repair:
    """A draft that was tried.

    Attributes:
      failed_before: Whether the test fails on the bot as it was: only then it shows the trouble;
        None where it could not be run.
      passes_after: Whether it, and all other tests of the bot, pass with the change; None where
        there is no change, or they could not be run.
      problems: Faults of the draft's file, for which they could not.
    """

    draft: Draft
    failed_before: bool | None
    passes_after: bool | None
    problems: Sequence[str] = ()

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {
            "execution": self.draft.execution,
            "bot": self.draft.bot,
            "diagnosis": self.draft.diagnosis.as_dict(),
            "change": self.draft.change,
            "test": dict(self.draft.test),
            "text": self.draft.text,
            "failed_before": self.failed_before,
            "passes_after": self.passes_after,
            "problems": list(self.problems),
        }


def draft(
    execution_id: str,
    payloads: PayloadStore,
    definitions: Definitions,
    reader: Reader,
    *,
    workspace: str = "default",
) -> Draft:
    """What might mend the bot of a failed execution; reads rows.

    Raises:
      ExecutionNotFound: There is none.
      InvalidTransition: It did not fail.
      NothingToRepair: The bot, or the step that failed, is no longer there.
    """
    row = executions.get(execution_id, workspace=workspace)
    found = diagnose(row, payloads)
    if found is None:
        raise InvalidTransition(row.id, row.status, "repaired")
    version = _live(row)
    stored = loads(version.document)
    document = reader.self_contained(stored)
    # A step `end` did what it is there for.
    own = found.step is None or found.trouble is Trouble.ENDED
    culprit = None if own else step_of(str(found.step))
    bot = definitions.bot(version.id)
    there = {each.id for each in (*bot.steps, *bot.on_failure, *bot.finally_)}
    if culprit is not None and culprit not in there:
        raise NothingToRepair(
            f"{row.bot_name} has no step {culprit} any more, which {row.id} failed of"
        )
    failed = failed_of(row, found.step, payloads)
    test = regression(
        row, bot, culprit, failed, payloads, definitions, reader.components.bot_types
    )
    tested = {**document, "tests": [*document.get("tests", ()), test]}
    change, changed = _change(tested, culprit, failed)
    text, base = as_yaml(version, reader), to_yaml(document)
    if text == to_yaml(stored):
        text = base
    before = _merged(base, text, to_yaml(tested))
    after = _merged(base, text, to_yaml(changed))
    builder = provenance.origin_of(version.id, stored) == provenance.BUILDER
    origin = provenance.BUILDER if builder else "file"
    return Draft(
        row.id, row.bot_name, version.id, found, failed, test, before, after, change, origin
    )


def _merged(base: str, text: str, wanted: str) -> str:
    try:
        return merge(base, text, wanted).text
    except BotInvalid:
        return wanted  # the comments alone are lost


def _live(row: ExecutionRow) -> VersionRow:
    """The version of the execution's bot that is live."""
    there = bots.find(row.bot_name, row.workspace)
    gone = there is None or there.id != row.bot_id or there.removed_at is not None
    version = None if there is None or gone else bots.version_of(there.active_version_id)
    if version is None:
        raise NothingToRepair(f"the bot of {row.id}, {row.bot_name}, is no longer there")
    return version


async def prove(made: Draft, project: Path) -> Repair:
    """Try a draft, in processes of their own with nothing outside.

    Raises:
      TrialsFailed: The tests could not be run.
    """
    name = str(made.test["name"])
    before = await _tried(made, made.before, project)
    if before.problems:  # no test ran, and so none failed
        return Repair(made, None, None, before.faults)
    failed = any(each["name"] == name and not each["passed"] for each in before.tests)
    if made.change is None:
        return Repair(made, failed, None)
    after = await _tried(made, made.text, project)
    if after.problems:
        return Repair(made, failed, None, after.faults)
    return Repair(made, failed, after.passed)


async def _tried(made: Draft, text: str, project: Path) -> Report:
    return await try_apart(made.bot, text, mutants=0, origin=made.origin, project=project)


# the change


def _change(
    document: dict[str, Any], culprit: str | None, failed: Failed
) -> tuple[str | None, dict[str, Any]]:
    """What a rule would change, in words, and the definition with it."""
    if culprit is None or not failed.may_pass:
        return None, document
    if "retry" in document or any(
        step["id"] == culprit and "retry" in step for step in document.get("steps", ())
    ):
        return None, document  # it was tried again, and that did not help
    said = f"the step {culprit} is tried up to {_RETRY['attempts']} times: {failed.code} may pass"
    if "steps" not in document:
        return said, {**document, "retry": dict(_RETRY)}
    steps = [
        {**step, "retry": dict(_RETRY)} if step["id"] == culprit else step
        for step in document["steps"]
    ]
    return said, {**document, "steps": steps}
