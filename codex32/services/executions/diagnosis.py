"""What kind of trouble a failure is, where in the bot file, and what helps: by rules.

It is made from what is recorded, and kept by :mod:`codex32.services.executions.diagnosing`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from codex32.engine.records.parts import step_of
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, ExecutionRow, StepRow, VersionRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Cause, Status, StepStatus
from codex32.kernel.text import file_told
from codex32.services.executions.fault_places import line_of


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
            r"connection(-not-found)?|key-missing|seal-broken",
            Trouble.CREDENTIAL,
        ),
        (r"http-429|(provider-|model-)?rate-limited|too-many-requests", Trouble.RATE_LIMIT),
        (r"concurrency(-full)?|streams-full", Trouble.RATE_LIMIT),
        (r"((mcp|model)-)?timeout|http-(timeout|408|425|504)", Trouble.TIMEOUT),
        (r"(http|mcp|sql)-(unreachable|cut)|http-5\d\d|provider-unavailable", Trouble.NETWORK),
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
        (
            r"mcp-tool-failed|sql|no-feed|template|documents|chunk|url|empty|path|glob",
            Trouble.DATA,
        ),
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


#: What programs raise where another side answers: as urllib, requests and httpx say it.
_ANSWERED = re.compile(
    r"HTTPError: (?:HTTP Error ([45]\d\d)\b|([45]\d\d) (?:Client|Server) Error)"
    r"|HTTPStatusError: (?:Client|Server) error '([45]\d\d)\b"
)
#: What else they raise that is no fault of theirs, or has a remedy of its own.
_BY_EXCEPTION: Sequence[tuple[re.Pattern[str], Trouble, str | None]] = [
    (re.compile(pattern), trouble, remedy)
    for pattern, trouble, remedy in (
        (r"^MemoryError", Trouble.RESOURCES, None),
        (
            r"^ModuleNotFoundError",
            Trouble.CODE,
            "name the package with its version in `requires` of the step and in `allow.packages`, "
            "or import what Python itself brings",
        ),
        (
            # The proxy of a program refuses what the bot may not reach; without hosts there is no
            # network at all.
            r"Tunnel connection failed: 403|\bProxyError: 403|Errno -3\b|Errno 101\b|"
            r"name resolution|Network is unreachable",
            Trouble.CAPABILITY,
            "a program reaches the hosts that `allow.hosts` names, through `http_proxy`, and no "
            "others",
        ),
        (
            r"Errno 28\b",
            Trouble.RESOURCES,
            "raise `allow.disk`, or write less",
        ),
        (
            r"^PermissionError: \[Errno 1\]|can't start new thread|^BlockingIOError: \[Errno 11\]",
            Trouble.CAPABILITY,
            "a program is one process with some threads; more of them are what `allow.processes` "
            "permits",
        ),
        (
            r"^FileNotFoundError: .*'/",
            Trouble.CODE,
            "mend the path, or name its folder in `allow.files`: a program sees its own folder "
            "and what stands there",
        ),
        (
            r"^PermissionError|^OSError: \[Errno 30\]",
            Trouble.CAPABILITY,
            "a program sees its own folder and what `allow.files` names, and writes where that "
            "says `write: true`",
        ),
        (r"\b\w*Timeout(Error)?\b|timed out", Trouble.TIMEOUT, None),
        (
            r"Errno 111\b|\bConnectionRefusedError\b",
            Trouble.NETWORK,
            "look whether the other side works; in a sandbox without the machine's network "
            "`127.0.0.1` and `localhost` are the program's own, where nothing listens",
        ),
        (
            r"\bConnection\w*Error\b|\bConnectError\b|\bRemoteDisconnected\b|"
            r"Errno (-2|104|113)\b",
            Trouble.NETWORK,
            None,
        ),
        (r"\b(JSON|Unicode)DecodeError\b", Trouble.DATA, None),
    )
]
#: What ends programs beside those that want memory.
_BY_END: Sequence[tuple[re.Pattern[str], Trouble, str]] = [
    (re.compile(pattern), trouble, remedy)
    for pattern, trouble, remedy in (
        (
            r"exit code",
            Trouble.CODE,
            "the program left of itself, before `main` returned: let `main` return, or raise what "
            "is wrong",
        ),
        (
            r"SIG(SEGV|ABRT|BUS|ILL|FPE|TRAP)\b",
            Trouble.CODE,
            "Python itself broke: look at the compiled packages that the program uses, and at "
            "what it hands them",
        ),
        (
            r"processor time",
            Trouble.RESOURCES,
            "raise `allow.cpu`, or do less at once",
        ),
    )
]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a failed execution suffered from.

    Attributes:
      step: Which one failed; None where the execution failed as a whole.
      item: Of a ``foreach``, the first item that failed.
      line: Where the step, or what of it failed, stands in the text of the version that ran, from
        1.
      beneath: Where it began, if a bot that was executed by a step of this one failed.
      execution: The execution this is said of, and its bot.
    """

    trouble: Trouble
    remedy: str
    step: str | None = None
    item: int | None = None
    file: str | None = None
    line: int | None = None
    beneath: Diagnosis | None = None
    execution: str = ""
    bot: str = ""

    def as_dict(self) -> dict[str, JSON]:
        """As plain data, for JSON."""
        return {
            "trouble": self.trouble.value,
            "remedy": self.remedy,
            **self._place(),
            "beneath": self.beneath and self.beneath.named(),
        }

    def named(self) -> dict[str, JSON]:
        """Where it is, with the execution that it is in."""
        return {"execution": self.execution, "bot": self.bot, **self._place()}

    def _place(self) -> dict[str, JSON]:
        return {"step": self.step, "item": self.item, "file": self.file, "line": self.line}


def place(told: Mapping[str, JSON]) -> str | None:
    """``bots/digest.yaml:14, step fetch`` of a diagnosis as plain data, as far as it is known."""
    where, line, step = told["file"], told["line"], told["step"]
    if line is not None:
        where = f"{where}:{line}" if where else f"line {line}"
    item = "" if told["item"] is None else f" item {told['item']}"
    return ", ".join(filter(None, (where, step and f"step {step}{item}"))) or None


def place_beneath(told: Mapping[str, JSON]) -> str | None:
    """The same of the bot beneath, where it began, with the execution."""
    beneath = told.get("beneath")  # older rows say nothing of it
    if not isinstance(beneath, dict):
        return None
    return f"{place(beneath) or beneath['bot']}, in {beneath['execution']}"


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
    beneath = _beneath(told, payloads)
    remedy = None
    if ended is not None:
        trouble = Trouble.ENDED
    elif beneath is not None:  # a bot that this one executed knows more
        trouble, remedy = beneath.trouble, beneath.remedy
    else:
        trouble, remedy = _trouble(row, told)
    step = step or ended or _cut_short(row)
    version = VersionRow.get_or_none(VersionRow.id == row.version_id)
    line = None
    if version is not None and step is not None:
        line = line_of(version.text, row.bot_name, step_of(step.step), told)
    elif version is not None and _is_of_output(row):
        line = line_of(version.text, row.bot_name, None, {"message": row.message})
    return Diagnosis(
        trouble,
        remedy or REMEDIES[trouble],
        step=step.step if step is not None else None,
        item=step.item if step is not None and step.item != NO_ITEM else None,
        file=file_told(version.source) if version is not None else None,
        line=line,
        beneath=beneath,
        execution=row.id,
        bot=row.bot_name,
    )


def _beneath(error: Mapping[str, JSON], payloads: PayloadStore) -> Diagnosis | None:
    """Of the bot that the step executed: where it began, however far down."""
    child = _mapping(error.get("detail")).get("execution")
    theirs = ExecutionRow.get_or_none(ExecutionRow.id == child) if child else None
    found = None if theirs is None else diagnose(theirs, payloads)
    return None if found is None else found.beneath or found


def _trouble(row: ExecutionRow, error: Mapping[str, JSON]) -> tuple[Trouble, str | None]:
    """What it is, and what helps where that is not what helps with all of its kind."""
    code = error.get("code")
    if code == "raised":
        return _of_exception(str(error.get("message")))
    if code == "killed":
        return _of_end(str(error.get("message")))
    if code is None and _is_of_output(row):
        return Trouble.EXPRESSION, None
    return trouble_of(code if isinstance(code, str) else None, row.cause), None


def _of_exception(message: str) -> tuple[Trouble, str | None]:
    """What a program suffered from that raised this."""
    if answered := _ANSWERED.search(message):
        return trouble_of(f"http-{answered[1] or answered[2] or answered[3]}", None), None
    for pattern, trouble, remedy in _BY_EXCEPTION:
        if pattern.search(message):
            return trouble, remedy
    return Trouble.CODE, None


def _of_end(message: str) -> tuple[Trouble, str | None]:
    """What a program suffered from that was over before it answered."""
    for pattern, trouble, remedy in _BY_END:
        if pattern.search(message):
            return trouble, remedy
    return Trouble.RESOURCES, None


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


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}
