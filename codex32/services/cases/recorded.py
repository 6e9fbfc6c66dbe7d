"""A test made from an execution that was recorded: what the outside said then stands in for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from codex32.kernel.bot import Bot, Step
from codex32.kernel.errors import InvalidTransition
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, ExecutionRow, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status, StepStatus
from codex32.services.bots.definitions import Definitions
from codex32.services.executions import executions
from codex32.services.presentation import iso

#: Types that a test does anew: they keep inside, and depend on nothing but what they are given.
_INSIDE: Final = frozenset({"set", "python", "end", "event", "wait"})
#: An execution that is here by itself, and that a test can come to.
_COME_TO: Final = frozenset({Status.SUCCEEDED, Status.FAILED, Status.SKIPPED})
#: Types that wait in a test, too, where nothing but their answer ends it.
_WAITING: Final = frozenset({"approve", "wait"})
_OPEN: Final = (StepStatus.WAITING, StepStatus.UNKNOWN)


def inside(step: Step) -> bool:
    """Whether a test does a step anew; events come from outside."""
    return step.type in _INSIDE and not (step.type == "wait" and "event" in step.params)


def recorded_case(
    execution_id: str,
    payloads: PayloadStore,
    definitions: Definitions,
    *,
    workspace: str = "default",
) -> dict[str, JSON]:
    """The test, as it stands in a bot file; secrets in it are masked as they were recorded.

    What the bot remembered when the execution began is not recorded, so ``state`` has to be added
    where the bot uses it.

    Raises:
      ExecutionNotFound: There is none.
      InvalidTransition: Somebody cancelled it, or it is at nothing that a test comes to.
    """
    row = executions.get(execution_id, workspace=workspace)
    bot = definitions.bot(row.version_id)
    rows: dict[str, list[StepRow]] = {}
    for step in StepRow.select().where(StepRow.execution_id == row.id).order_by(StepRow.item):
        rows.setdefault(step.step, []).append(step)
    if row.status not in _COME_TO and not _waits_for_ever(row, bot, rows):
        raise InvalidTransition(row.id, row.status, "a test")
    mocks: dict[str, JSON] = {}
    statuses: dict[str, JSON] = {}
    for each in (*bot.steps, *bot.on_failure, *bot.finally_):
        of_it = rows.get(each.id, [])
        statuses |= {row.step: row.status for row in of_it if row.item == NO_ITEM}
        if not inside(each) and (mock := _mock(of_it, payloads)) is not None:
            mocks[each.id] = mock
    trigger = payloads.unpack(row.id, row.trigger)
    case: dict[str, JSON] = {"name": f"as in {row.id}", "at": iso(row.created_at)}
    if inputs := payloads.unpack(row.id, row.inputs):
        case["inputs"] = inputs
    if row.trigger_kind != "manual":
        case["trigger"] = trigger
    if mocks:
        case["mocks"] = mocks
    expect: dict[str, JSON] = {"status": row.status}
    if row.cause is not None:
        expect["cause"] = row.cause
    expect["steps"] = statuses
    if (output := payloads.unpack(row.id, row.output)) is not None:
        expect["output"] = output
    return {**case, "expect": expect}


def _waits_for_ever(row: ExecutionRow, bot: Bot, rows: Mapping[str, list[StepRow]]) -> bool:
    """Whether a test comes to the same stop; what time alone ends is over at once there."""
    types = {each.id: each.type for each in (*bot.steps, *bot.on_failure, *bot.finally_)}
    waiting = [each for of_it in rows.values() for each in of_it if each.status in _OPEN]
    return (
        row.status == Status.WAITING
        and row.ready_at is None
        and all(types[each.step] in _WAITING for each in waiting)
    )


def _mock(rows: list[StepRow], payloads: PayloadStore) -> JSON:
    whole = [each for each in rows if each.item == NO_ITEM]
    items = [each for each in rows if each.item != NO_ITEM]
    if any(each.status == "failed" for each in items):
        return {"items": [_answer(each, payloads) for each in items]}
    if whole and whole[0].status in ("succeeded", "failed"):
        return _answer(whole[0], payloads)
    return None


def _answer(row: StepRow, payloads: PayloadStore) -> dict[str, JSON]:
    error = payloads.unpack(row.execution_id, row.error)
    if row.status != "failed" or error is None:
        return {"output": payloads.unpack(row.execution_id, row.output)}
    return {"error": error["message"], "code": error["code"]}
