"""A test made from an execution that failed: it fails until the bot is mended.

What the outside said then stands in for it; what was not come to says what it said last time. The
step that failed says what it said then as long as it is asked the same, and else what it said when
all was well: so a change has to help, and not only to look like help.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from codex32.engine.expressions import MAX_BYTES
from codex32.kernel.bot import Bot, Step
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.masking import MASK
from codex32.kernel.models import NO_ITEM, ExecutionRow, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status, StepStatus
from codex32.services.bots.definitions import Definitions
from codex32.services.cases.recorded import INSIDE, recorded_case

#: Faults that may be gone at the next try.
_PASSING: Final = re.compile(
    r"http-(429|408|425|5\d\d|unreachable|cut|timeout)|provider-(unavailable|rate-limited)"
)
_STATUS: Final = re.compile(r"http-(\d{3})")


@dataclass(frozen=True, slots=True)
class Failed:
    """The step that an execution failed of, as it is recorded.

    Attributes:
      message: What it said, and ``code`` its stable word.
      given: What stood in its ``with``; None where that is not recorded.
      tries: How often it was tried.
    """

    message: str = ""
    code: str = ""
    given: JSON = None
    tries: int = 1

    @property
    def may_pass(self) -> bool:
        """Whether the fault may be gone at the next try."""
        return bool(_PASSING.fullmatch(self.code))


def failed_of(row: ExecutionRow, step: str | None, payloads: PayloadStore) -> Failed:
    """What is recorded of the step that ``row`` failed of; reads rows."""
    mine = (StepRow.execution_id == row.id) & (StepRow.step == step) & (StepRow.item == NO_ITEM)
    failed = None if step is None else StepRow.get_or_none(mine)
    if failed is None:
        return Failed(row.message)
    error = payloads.unpack(row.id, failed.error)
    told = error if isinstance(error, dict) else {}
    return Failed(
        str(told.get("message") or row.message),
        str(told.get("code") or ""),
        payloads.unpack(row.id, failed.input),
        max(failed.tries, 1),
    )


def regression(
    row: ExecutionRow,
    bot: Bot,
    culprit: str | None,
    failed: Failed,
    payloads: PayloadStore,
    definitions: Definitions,
) -> dict[str, JSON]:
    """The execution as recorded, but that it ends well; reads rows.

    Args:
      row: The execution.
      bot: What is to be mended: the version that is live by now.
      culprit: Its step that failed then; None where the execution failed as a whole.
      failed: What is recorded of that step.
      payloads: Where large values lie.
      definitions: Gives the version that ran.
    """
    case = recorded_case(row.id, payloads, definitions, workspace=row.workspace)
    good = _outputs(last_good(row), payloads)
    there = {each.id for each in (*bot.steps, *bot.on_failure, *bot.finally_)}
    mocks: dict[str, Any] = {
        name: mock for name, mock in dict(case.pop("mocks", {})).items() if name in there
    }
    for step in bot.steps:
        if step.type in INSIDE:
            continue
        answer = good.outputs.get(step.id)
        if step.id == culprit:
            mocks.pop(step.id, None)
            mocks |= _stand_in(step, failed, answer)
        elif step.id not in mocks and step.id in good.outputs:
            # It was not come to; what it said last time is the likeliest.
            mocks[step.id] = {"output": answer}
    expect: dict[str, JSON] = {"status": good.status}
    if culprit is not None:
        expect["steps"] = {culprit: "succeeded"}
    case["name"] = f"does not fail as {row.id} did"
    return {**case, **({"mocks": mocks} if mocks else {}), "expect": expect}


def _stand_in(step: Step, failed: Failed, answer: JSON) -> dict[str, JSON]:
    """What answers for the step that failed."""
    fault: dict[str, JSON] = {"error": failed.message, "code": failed.code or "error"}
    given = failed.given if isinstance(failed.given, dict) else {}
    if not failed.may_pass and given and MASK not in dumps(given):
        status = _STATUS.fullmatch(failed.code)
        if step.type == "http" and status is not None and isinstance(given.get("url"), str):
            good = answer if isinstance(answer, dict) else {}
            kept = {key: good[key] for key in ("status", "headers", "body") if key in good}
            # A star in it stands for itself alone, which no pattern can say.
            same = f"request.url.startsWith({dumps(given['url'])})"
            if len(same.encode()) <= MAX_BYTES:
                refused = {"url": "*", "if": same, "status": int(status[1])}
                return {"http": [refused, {"url": "*", **kept}]}
        same_words = f"params == parse_json({dumps(dumps(given))})"
        if step.type not in ("http", "llm") and len(same_words.encode()) <= MAX_BYTES:
            return {step.type: [{"if": same_words, **fault}, {"output": answer}]}
    again: list[JSON] = [{**fault, "retryable": True}] * failed.tries
    return {step.id: {"tries": [*again, {"output": answer}]}}


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
