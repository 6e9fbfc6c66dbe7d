"""What kind of trouble a failure is, where in the bot file, and what helps: by rules.

It is made from what is recorded, and kept by :mod:`codex32.services.executions.diagnosing`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from codex32.engine.reading.document import read_documents
from codex32.engine.records.parts import step_of
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, ExecutionRow, StepRow, VersionRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Cause, Status, StepStatus
from codex32.kernel.text import file_told


class Trouble(StrEnum):
    """Kinds of trouble, by who or what can end it."""

    CREDENTIAL = "credential"
    RATE_LIMIT = "rate_limit"
    TIMEOUT = "timeout"
    NETWORK = "network"
    DATA = "data"
    EXPRESSION = "expression"
    CAPABILITY = "capability"
    BUDGET = "budget"
    CODE = "code"
    RESOURCES = "resources"
    DECISION = "decision"
    PLUGIN = "plugin"
    ENDED = "ended"
    UNKNOWN = "unknown"


#: What helps.
REMEDIES = {
    Trouble.CREDENTIAL: "look whether the secret or connection is there and still good "
    "(`codex32 secrets list`), then retry",
    Trouble.RATE_LIMIT: "the other side wants fewer requests: give the step a `rate`, or a "
    "`retry` that waits longer",
    Trouble.TIMEOUT: "raise `timeout` of the step or the bot, or do less at once; where another "
    "side is slow, `retry` helps",
    Trouble.NETWORK: "the other side is away or broken: look whether it works, and give the step "
    "a `retry` if this comes and goes",
    Trouble.DATA: "compare what the step was given, or what came back, with what it expects; "
    "`codex32 executions show` prints both",
    Trouble.EXPRESSION: "the expression meets data it was not written for; "
    "`.?field.orValue(…)` takes what may be missing",
    Trouble.CAPABILITY: "if it is meant, permit what the message names, in "
    "`allow` of the bot file or where the message says",
    Trouble.BUDGET: "wait for the next period, or raise `allow.spend_usd`, the budget or the "
    "account that is named",
    Trouble.CODE: "mend the program, and try it with `codex32 test`",
    Trouble.RESOURCES: "its memory, or the machine's, may be short: look at `allow.memory`, and "
    "at the logs of the workers",
    Trouble.DECISION: "nobody decided, or somebody decided against it; retry when it shall be "
    "asked again",
    Trouble.PLUGIN: "a plugin has a fault or is missing; `codex32 plugins` and its author "
    "know more",
    Trouble.ENDED: "the bot ended itself as failed, by a step `end`: see to what its message "
    "says, or change the step's `if` where that is no failure",
    Trouble.UNKNOWN: "`codex32 executions show` prints the steps, `codex32 executions logs` what "
    "they said",
}

#: The first pattern that matches the whole code decides.
_BY_CODE: Sequence[tuple[re.Pattern[str], Trouble]] = [
    (re.compile(pattern), trouble)
    for pattern, trouble in (
        (
            r"http-(401|403|407)|(provider-)?unauthorized|model-auth|oauth|secret-not-found|"
            r"connection-not-found|key-missing|seal-broken",
            Trouble.CREDENTIAL,
        ),
        (r"http-429|(provider-|model-)?rate-limited|too-many-requests", Trouble.RATE_LIMIT),
        (r"concurrency(-full)?|streams-full", Trouble.RATE_LIMIT),
        (r"((mcp|model)-)?timeout|http-(timeout|408|425|504)", Trouble.TIMEOUT),
        (r"(http|mcp)-(unreachable|cut)|http-5\d\d|provider-unavailable", Trouble.NETWORK),
        (r"model-(network|server|unavailable|malformed)|database-unavailable", Trouble.NETWORK),
        (r"expression", Trouble.EXPRESSION),
        (
            r"capability|(tool-)?refused|access-denied|not-allowed|(mcp-)?unpinned",
            Trouble.CAPABILITY,
        ),
        (r"budget.*|model-quota|price-unknown", Trouble.BUDGET),
        (r"raised|syntax|no-main|not-json|too-long|depth", Trouble.CODE),
        (r"killed", Trouble.RESOURCES),
        (r"approval.*|resolved|effect-unknown", Trouble.DECISION),
        (r"bot-type-raised|plugin.*|component-not-found|invalid-output", Trouble.PLUGIN),
        (r"http-.*|provider-rejected|page|size|event|time|items|model-.*|llm-.*", Trouble.DATA),
        (r"mcp-tool-failed|no-feed|template|documents|chunk|url|empty|path|glob", Trouble.DATA),
        (r".*-(invalid|not-found)|invalid.*|dimension-mismatch|payload-missing", Trouble.DATA),
    )
]
_BY_CAUSE = {
    Cause.TIMEOUT: Trouble.TIMEOUT,
    Cause.LOST: Trouble.RESOURCES,
    Cause.BUDGET: Trouble.BUDGET,
    Cause.CAPABILITY: Trouble.CAPABILITY,
    Cause.INVALID: Trouble.DATA,
    Cause.EFFECT: Trouble.DECISION,
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a failed execution suffered from.

    Attributes:
      step: Which one failed; None where the execution failed as a whole.
      item: Of a ``foreach``, the first item that failed.
      line: Where the step stands in the text of the version that ran, from 1.
    """

    trouble: Trouble
    remedy: str
    step: str | None = None
    item: int | None = None
    file: str | None = None
    line: int | None = None

    def as_dict(self) -> dict[str, JSON]:
        """As plain data, for JSON."""
        return {
            "trouble": self.trouble.value,
            "remedy": self.remedy,
            "step": self.step,
            "item": self.item,
            "file": self.file,
            "line": self.line,
        }


def place(told: Mapping[str, JSON]) -> str | None:
    """``bots/digest.yaml:14, step fetch`` of a diagnosis as plain data, as far as it is known."""
    where, line, step = told["file"], told["line"], told["step"]
    if line is not None:
        where = f"{where}:{line}" if where else f"line {line}"
    item = "" if told["item"] is None else f" item {told['item']}"
    return ", ".join(filter(None, (where, step and f"step {step}{item}"))) or None


def trouble_of(code: str | None, cause: str | None) -> Trouble:
    """The kind of trouble that a fault of this code, in an execution of this cause, is."""
    for pattern, trouble in _BY_CODE:
        if code is not None and pattern.fullmatch(code):
            return trouble
    return _BY_CAUSE.get(Cause(cause), Trouble.UNKNOWN) if cause else Trouble.UNKNOWN


def diagnose(row: ExecutionRow, payloads: PayloadStore) -> Diagnosis | None:
    """What a failed execution suffered from; None for one that did not fail."""
    if row.status != Status.FAILED:
        return None
    step = _culprit(row, payloads)
    ended = None if step is not None else _ended(row, payloads)
    error = payloads.unpack(row.id, step.error) if step is not None else None
    told = error if isinstance(error, dict) else {}
    trouble = Trouble.ENDED if ended is not None else _trouble(row, told, payloads)
    step = step or ended or _cut_short(row)
    version = VersionRow.get_or_none(VersionRow.id == row.version_id)
    line = None
    if version is not None and step is not None:
        line = _line(
            version.text, row.bot_name, step_of(step.step), _program_line(told, step.step)
        )
    elif version is not None and _is_of_output(row):
        line = _line(version.text, row.bot_name, None, None)
    return Diagnosis(
        trouble,
        REMEDIES[trouble],
        step=step.step if step is not None else None,
        item=step.item if step is not None and step.item != NO_ITEM else None,
        file=file_told(version.source) if version is not None else None,
        line=line,
    )


def _trouble(row: ExecutionRow, error: Mapping[str, JSON], payloads: PayloadStore) -> Trouble:
    code, detail = error.get("code"), _mapping(error.get("detail"))
    child = detail.get("execution")
    if isinstance(child, str):  # a bot that this one executed knows more
        theirs = ExecutionRow.get_or_none(ExecutionRow.id == child)
        found = None if theirs is None else diagnose(theirs, payloads)
        if found is not None:
            return found.trouble
    if code == "raised" and str(error.get("message")).startswith("MemoryError"):
        return Trouble.RESOURCES
    if code is None and _is_of_output(row):
        return Trouble.EXPRESSION
    return trouble_of(code if isinstance(code, str) else None, row.cause)


def _is_of_output(row: ExecutionRow) -> bool:
    return row.cause == Cause.ERROR and row.message.startswith("output: ")


def _cut_short(row: ExecutionRow) -> StepRow | None:
    """The step that was at work when the time of the whole was over, or its worker was lost."""
    if row.cause not in (Cause.TIMEOUT, Cause.LOST):
        return None
    open_ = [StepStatus.CANCELLED, StepStatus.RUNNING, StepStatus.WAITING]
    mine = (StepRow.execution_id == row.id) & StepRow.status.in_(open_)
    begun = StepRow.select().where(mine & StepRow.started_at.is_null(False))
    cut: StepRow | None = begun.order_by(StepRow.started_at.desc(), StepRow.item.desc()).first()
    return cut


def _ended(row: ExecutionRow, payloads: PayloadStore) -> StepRow | None:
    """The step by which the bot itself ended the execution as failed."""
    if row.cause != Cause.ERROR:
        return None
    well = (StepRow.execution_id == row.id) & (StepRow.status == StepStatus.SUCCEEDED)
    for each in StepRow.select().where(well & StepRow.note.is_null(False)):
        note = _mapping(payloads.unpack(row.id, each.note))
        if _mapping(note.get("ended")).get("status") == Status.FAILED:
            return each
    return None


def _culprit(row: ExecutionRow, payloads: PayloadStore) -> StepRow | None:
    """The step that the execution failed of: the one whose words the execution repeats."""
    failed = StepRow.select().where(
        (StepRow.execution_id == row.id)
        & StepRow.status.in_([StepStatus.FAILED, StepStatus.UNKNOWN])
    )
    steps = sorted(failed, key=lambda each: (each.finished_at or 0, each.item == NO_ITEM))
    said = [each for each in steps if _message(row, each, payloads) in row.message]
    whole = [each for each in said if each.item == NO_ITEM]
    chosen = (whole or said)[:1]
    if not chosen:
        return None
    (step,) = chosen
    # The item tells more than the `foreach` around it.
    items = [each for each in steps if each.step == step.step and each.item != NO_ITEM]
    return items[0] if items else step


def _message(row: ExecutionRow, step: StepRow, payloads: PayloadStore) -> str:
    error = payloads.unpack(row.id, step.error)
    told = error.get("message") if isinstance(error, dict) else None
    # Nothing said is not what the execution says.
    return told if isinstance(told, str) and told else "\0"


def _program_line(error: Mapping[str, JSON], step: str) -> int | None:
    """The line of the step's own program where it raised, from 1; None where none is told."""
    detail = error.get("detail")
    traceback = detail.get("traceback") if isinstance(detail, dict) else None
    found = re.findall(rf'File "<{step}>", line (\d+)', str(traceback))
    return int(found[-1]) if found else None


def _line(text: str, bot: str, step: str | None, program_line: int | None) -> int | None:
    """Where a step, or a line of its program, stands; None where the text no longer tells.

    Without a step it is the line of the bot's output.
    """
    documents = [each for each in read_documents(text) if isinstance(each.value, dict)]
    named = [each for each in documents if _mapping(each.value).get("name") == bot]
    for document in named or documents:
        if step is None:
            return document.problem(("output",), "", key=True).line
        path = _path(_mapping(document.value), step)
        if path is None:
            continue
        code = _mapping(_value(document.value, path)).get("with")
        code = _mapping(code).get("code")
        if program_line is not None and isinstance(code, str):
            before = "".join(code.splitlines(keepends=True)[: program_line - 1])
            return document.problem((*path, "with", "code"), "", offset=len(before)).line
        return document.problem(path or ("type",), "", key=not path).line
    return None


def _path(bot: Mapping[str, JSON], step: str) -> tuple[str | int, ...] | None:
    """Where a step stands in its bot: a bot of a single step is that step itself."""
    for section in ("steps", "on_failure", "finally"):
        steps = bot.get(section)
        for index, each in enumerate(steps if isinstance(steps, list) else ()):
            if _mapping(each).get("id") == step:
                return section, index
    return () if step == "main" and "steps" not in bot else None


def _value(value: JSON, path: Sequence[str | int]) -> JSON:
    for part in path:
        value = value[part]
    return value


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}
