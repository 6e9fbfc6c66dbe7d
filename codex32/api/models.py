"""What the API answers, as the OpenAPI document tells it; answers themselves are plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from codex32.kernel.statuses import Cause, Status, StepStatus
from codex32.services.executions.diagnosis import Trouble

_Item = TypeVar("_Item", bound=BaseModel)


class Out(BaseModel):
    """An answer, or a part of one: every field is always there."""

    model_config = ConfigDict(extra="forbid")


class Fault(BaseModel):
    """One fault of what was sent, or of a bot file."""

    message: str
    path: str = Field("", description="Where in the document, dotted.")
    code: str = "invalid"
    file: str | None = None
    line: int | None = None
    column: int | None = None


class ProblemDocument(Out):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable word for programs.")
    request_id: str
    errors: list[Fault] = Field(default=[], description="All faults of the request.")


class Page(Out, Generic[_Item]):
    """A part of a list."""

    items: list[_Item]
    next: str | None = Field(description="The `cursor` of the next page; null at the end.")


class StartedOut(Out):
    """An execution that was asked for."""

    id: str
    status_url: str
    repeated: bool = Field(description="It was there before, under the same idempotency key.")
    held: bool = Field(description="It waits until other executions of the bot have ended.")


class BackfilledOut(Out):
    """What a backfill found, and what it made."""

    bot: str
    dry_run: bool
    times: int = Field(description="Times, and events for the bot, that the range holds.")
    missing: int
    made: int = Field(description="Executions.")
    left: int = Field(description="Missing beyond the limit; ask again.")
    decisions: dict[str, int]
    first: datetime | None = Field(description="The oldest that was missing.")
    last: datetime | None
    executions: list[str] = Field(description="The first 1,000 ids, the oldest first.")


class RetriedOut(Out):
    """A retry that was asked for."""

    id: str
    status_url: str
    retry_of: str
    from_: str = Field(alias="from", description="start, failed, or the id of a step.")
    version: int
    repeated: bool = Field(description="It had been retried before, and this is that retry.")
    held: bool = Field(description="It waits until other executions of the bot have ended.")
    kept: list[str] = Field(description="Steps that are taken over as they are.")
    repeats: list[str] = Field(description="Steps whose effects are sent once more.")
    notes: list[str]


class ExecutionOut(Out):
    """An execution, without its values."""

    id: str
    bot: str
    version: int
    status: Status
    cause: Cause | None
    message: str
    trigger: str
    attempt: int
    worker: str | None
    parent: str | None
    retry_of: str | None = Field(description="The execution that this one does again.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_at: datetime | None = Field(description="When it goes on, while it waits for a time.")
    held: bool
    cancel_requested: bool


class ErrorOut(Out):
    """Why an execution did not succeed."""

    message: str
    code: str


class BeneathOut(Out):
    """Where a failure began, in a bot that was executed by a step."""

    execution: str
    bot: str
    step: str | None
    item: int | None
    file: str | None
    line: int | None


class DiagnosisOut(Out):
    """What a failed execution suffered from, by rules over what is recorded."""

    trouble: Trouble
    remedy: str = Field(description="What helps, for people.")
    step: str | None = Field(description="The step that failed, if it was a step.")
    item: int | None = Field(description="Of `foreach`, the first item that failed.")
    file: str | None = Field(description="Where the version that ran came from.")
    line: int | None = Field(description="Where the step, or what of it failed, stands, from 1.")
    beneath: BeneathOut | None = Field(
        None, description="Where it began, if a bot failed that a step executed."
    )


class SettledOut(Out):
    """How somebody looked after a failed execution."""

    as_: Literal["retried", "dismissed"] = Field(alias="as")
    at: datetime
    by: str
    note: str = Field(description="What was said, or the id of the retry.")


class AskedByOut(Out):
    """Who asked for it, through the API, the command line, or as a client of the MCP server."""

    kind: str = Field(description="`user`, `key`, `operator` or `local`.")
    id: str = Field(description="Of the account or of the key; names may be given again.")
    name: str
    address: str = Field(description="From which the request came.")
    request: str = Field(description="Its `X-Request-Id`.")


class TraceOut(Out):
    """A trace at whoever collects them."""

    id: str
    url: str | None = Field(description="Where people look at it; None without `tracing.link`.")


class ExecutionDetail(ExecutionOut):
    """An execution with its values."""

    retried_by: list[str] = Field(description="Executions that do this one again.")
    settled: SettledOut | None
    started_by: AskedByOut | None = Field(description="None where a trigger or a bot did it.")
    inputs: dict[str, Any]
    output: Any
    error: ErrorOut | None
    diagnosis: DiagnosisOut | None = Field(description="Of one that failed.")
    trace: TraceOut | None = Field(description="Its trace, where one is kept.")


class StepOut(Out):
    """A step of an execution, or one item of it."""

    step: str
    item: int | None = Field(description="Index in `foreach`.")
    status: StepStatus
    tries: int
    effect: str
    sandbox: str | None = Field(description="What kept its program in, where it ran one.")
    input: Any = Field(description="`with`, expressions evaluated, secrets masked.")
    output: Any
    error: dict[str, Any] | None
    started_at: datetime | None
    finished_at: datetime | None


class ApprovalOut(Out):
    """What a step asked people, and what was decided."""

    id: str
    execution: str
    bot: str
    step: str
    item: int | None = Field(description="Index in `foreach`.")
    status: Literal["pending", "approved", "rejected", "expired", "cancelled"]
    text: str = Field(description="What shall be decided; secrets are masked.")
    to: list[str] = Field(description="Who is asked.")
    form: dict[str, Any] | None = Field(description="JSON Schema of what is to be filled in.")
    on_expire: Literal["reject", "approve", "fail"]
    created_at: datetime
    expires_at: datetime | None
    decided_at: datetime | None
    by: str | None = Field(description="Who decided; null where nobody did.")
    answer: dict[str, Any] | None = Field(description="What was filled in, defaults included.")
    note: str | None


class LogLineOut(Out):
    """A line that a step, or the engine, had to say."""

    id: int
    step: str
    item: int | None
    at: datetime
    level: str
    message: str
    fields: dict[str, Any] | None


class EventOut(Out):
    """An event that somebody listened to, or that was published."""

    id: str
    name: str
    at: datetime
    data: Any
    chain: list[str] = Field(description="The bots whose doings led to it, oldest first.")
    published_by: AskedByOut | None = Field(description="None where a bot or the house told it.")
    delivered_at: datetime | None


class PublishedOut(Out):
    """What came of publishing."""

    id: str
    repeated: bool = Field(description="It was there before, under the same idempotency key.")


class PluginOut(Out):
    """A plugin, and what became of it."""

    name: str
    distribution: str
    version: str
    state: Literal["loaded", "failed", "blocked"]
    reason: str
    offers: dict[str, list[str]]
    hooks: list[str]


class PluginsOut(Out):
    """All plugins that were found, in the order of loading."""

    items: list[PluginOut]


class AliveOut(Out):
    """The process answers."""

    status: Literal["ok"]


class UnwellOut(Out):
    """A part that is not well."""

    part: Literal["database", "schema", "redis", "disk", "worker", "scheduler"]
    since: datetime = Field(description="When the process that answers first saw it so.")
    detail: str


class ReadyOut(Out):
    """Whether work can be taken."""

    status: Literal["ready", "not ready"]
    database: bool = Field(description="It can be written.")
    schema_current: bool
    workers: int = Field(description="Workers heard of in the last 30 seconds.")
    not_well: list[UnwellOut] = Field(description="Also what does not keep work from being taken.")
