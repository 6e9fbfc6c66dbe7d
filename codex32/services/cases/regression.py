"""A test made from an execution that failed: it fails until the bot is mended.

What the outside said then stands in for it; what was not come to says what it said last time. The
step that failed says what it said then as long as it is asked the same, and else what it said when
all was well: so a change has to help, and not only to look like help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codex32.kernel.bot import Bot, Step
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, ExecutionRow, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status, StepStatus
from codex32.services.bots.definitions import Definitions
from codex32.services.cases.recorded import inside, recorded_case
from codex32.services.cases.stand_ins import Failed, Went, likely, stand_in, stand_in_for_items


def failed_of(row: ExecutionRow, step: str | None, payloads: PayloadStore) -> Failed:
    """What is recorded of the step that ``row`` failed of; reads rows."""
    mine = (StepRow.execution_id == row.id) & (StepRow.step == step) & (StepRow.item == NO_ITEM)
    failed = None if step is None else StepRow.get_or_none(mine)
    return Failed(row.message) if failed is None else _failed(row, failed, payloads)


def regression(
    row: ExecutionRow,
    bot: Bot,
    culprit: str | None,
    failed: Failed,
    payloads: PayloadStore,
    definitions: Definitions,
    kinds: Mapping[str, BotType],
) -> dict[str, JSON]:
    """The execution as recorded, but that it ends well; reads rows.

    Args:
      row: The execution.
      bot: What is to be mended: the version that is live by now.
      culprit: Its step that failed then; None where the execution failed as a whole.
      failed: What is recorded of that step.
      payloads: Where large values lie.
      definitions: Gives the version that ran.
      kinds: The bot types that are installed.
    """
    case = recorded_case(row.id, payloads, definitions, workspace=row.workspace)
    good = _outputs(last_good(row), payloads)
    there = {each.id for each in (*bot.steps, *bot.on_failure, *bot.finally_)}
    mocks: dict[str, Any] = {
        name: mock for name, mock in dict(case.pop("mocks", {})).items() if name in there
    }
    for step in bot.steps:
        if inside(step) or (step.type == "notify" and step.params.get("to") == "log"):
            continue
        known = good.outputs.get(step.id)
        if step.id == culprit:
            mocks.pop(step.id, None)
            items = _items(row, step, payloads)
            answer = _one(step, known, items, kinds)
            mocks |= (
                stand_in_for_items(step, items, answer)
                if items
                else stand_in(step, failed, answer)
            )
        elif step.id not in mocks:
            # It was not come to; what it said last time is the likeliest.
            if known is not None:
                mocks[step.id] = {"output": known}
            else:
                answer = _one(step, None, (), kinds)
                mocks[step.id] = {"tries": [{"output": answer}]}
    if "inputs" in case:
        inputs: Any = case["inputs"]
        case["inputs"] = {name: each for name, each in inputs.items() if name in bot.inputs}
    expect: dict[str, JSON] = {"status": good.status}
    if culprit is not None:
        expect["steps"] = {culprit: "succeeded"}
    case["name"] = f"does not fail as {row.id} did"
    return {**case, **({"mocks": mocks} if mocks else {}), "expect": expect}


def _failed(row: ExecutionRow, step: StepRow, payloads: PayloadStore) -> Failed:
    error = payloads.unpack(row.id, step.error)
    told = error if isinstance(error, dict) else {}
    return Failed(
        str(told.get("message") or row.message),
        str(told.get("code") or ""),
        payloads.unpack(row.id, step.input),
        max(step.tries, 1),
    )


def _items(row: ExecutionRow, step: Step, payloads: PayloadStore) -> list[Failed | Went]:
    """What became of each item of the step's ``foreach`` that came to an end, in order."""
    if step.foreach is None:
        return []
    mine = (StepRow.execution_id == row.id) & (StepRow.step == step.id)
    rows = StepRow.select().where(mine & (StepRow.item != NO_ITEM)).order_by(StepRow.item)
    found: list[Failed | Went] = []
    for each in rows:
        if each.status == StepStatus.FAILED:
            found.append(_failed(row, each, payloads))
        elif each.status == StepStatus.SUCCEEDED:
            given = payloads.unpack(row.id, each.input)
            found.append(Went(given, payloads.unpack(row.id, each.output)))
    return found if any(isinstance(each, Failed) for each in found) else []


def _one(
    step: Step, known: JSON, items: Sequence[Failed | Went], kinds: Mapping[str, BotType]
) -> JSON:
    """What the step answers where all is well; of a ``foreach``, an item of it."""
    if step.foreach is not None:
        well = [each.output for each in items if isinstance(each, Went)]
        known = next(iter(known if isinstance(known, list) and known else well), None)
    return likely(step, kinds[step.type].output_schema) if known is None else known


@dataclass(frozen=True, slots=True)
class _Good:
    status: str
    outputs: Mapping[str, JSON]


def last_good(row: ExecutionRow) -> ExecutionRow | None:
    """The newest execution of the bot that ended well."""
    ended_well = ExecutionRow.status.in_([Status.SUCCEEDED, Status.SKIPPED])
    mine = (ExecutionRow.bot_id == row.bot_id) & ended_well
    found: ExecutionRow | None = (
        ExecutionRow.select().where(mine).order_by(ExecutionRow.id.desc()).first()
    )
    return found


def _outputs(last: ExecutionRow | None, payloads: PayloadStore) -> _Good:
    """How it ended, and what its steps said."""
    if last is None:
        return _Good(Status.SUCCEEDED.value, {})
    steps = StepRow.select().where(
        (StepRow.execution_id == last.id)
        & (StepRow.item == NO_ITEM)
        & (StepRow.status == StepStatus.SUCCEEDED)
    )
    outputs = {each.step: payloads.unpack(last.id, each.output) for each in steps}
    return _Good(last.status, outputs)
