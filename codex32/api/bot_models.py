"""What the API answers about bots: their versions, times, state and use."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, RootModel

from codex32.api.models import Fault, Out
from codex32.kernel.statuses import Status


class LastExecutionOut(Out):
    """The newest execution of a bot."""

    id: str
    status: Status
    finished_at: datetime | None


class TriggerOut(Out):
    """A trigger of a bot's live version."""

    id: str
    kind: str
    config: Any = Field(description="What stands under the kind's key in the definition.")
    timezone: str
    on_missed: Literal["skip", "last", "all"]
    overlap: Literal["allow", "skip", "queue"] | None
    enabled: bool
    next_at: datetime | None


class BotOut(Out):
    """A bot."""

    name: str
    tag: str | None = Field(description="What If-Match takes, between quotes.")
    description: str
    labels: dict[str, str]
    status: Literal["active", "broken", "disabled", "paused", "removed", "waiting"] = Field(
        description="`waiting`: no version was live yet, and the first waits for approval."
    )
    version: int | None = Field(description="Number of the live version.")
    digest: str | None = Field(description="SHA-256 of the live definition.")
    waiting_version: int | None = Field(description="Number of the version to be approved.")
    origin: Literal["file", "api", "builder", "run"]
    source: str | None = Field(description="Folder and name of the file it is read from.")
    owner: str
    enabled: bool = Field(description="What the definition says.")
    alerts_only: bool = Field(description="It holds alerts, and nothing to execute.")
    paused: bool = Field(description="Triggers do not start it; people may.")
    pinned: bool = Field(description="Rolled back; this holds until its file changes.")
    problems: list[Fault] = Field(description="Faults of its file, while it is broken.")
    next_at: datetime | None
    triggers: list[TriggerOut]
    last_execution: LastExecutionOut | None
    created_at: datetime
    updated_at: datetime


class CountsOut(Out):
    """Executions in numbers."""

    executions: int
    by_status: dict[Status, int]
    success_rate: float | None = Field(description="Of those that succeeded or failed.")
    mean_seconds: float | None = Field(description="From start to end, of those that ended.")


class OriginOut(Out):
    """Where a definition (its path is empty), or a piece of code in it, was first seen."""

    path: str
    digest: str
    origin: Literal["file", "api", "builder", "run"]
    source: str | None
    since: datetime


class BotDetail(BotOut):
    """A bot with its definition."""

    definition: dict[str, Any] = Field(description="Empty where no version was live yet.")
    origins: list[OriginOut]
    recent: CountsOut = Field(description="Its newest executions, at most 1,000.")


class StoredOut(Out):
    """What came of sending a definition."""

    name: str
    version: int
    change: Literal["created", "changed", "restored", "moved", "withdrawn", "waiting"] | None = (
        Field(description="null: it was there already; `waiting`: somebody has to approve it.")
    )
    widens: list[str] = Field(description="What is to be approved.")


class ValidatedBot(Out):
    """A bot of what was sent that has no fault."""

    name: str
    digest: str
    widens: list[str] = Field(description="What it may beyond the live version of this name.")


class ValidatedOut(Out):
    """What is wrong with what was sent."""

    valid: bool
    bots: list[ValidatedBot]
    problems: list[Fault]


class ChangeOut(Out):
    """A difference of two definitions."""

    path: str = Field(description="Dotted; steps go by their ids.")
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


class VersionOut(Out):
    """A version of a bot."""

    id: str
    number: int
    standing: Literal["live", "waiting", "past"]
    digest: str
    origin: Literal["file", "api", "builder", "run"]
    source: str | None
    author: str = Field(description="Who wrote it; empty for files.")
    message: str
    widens: list[str] = Field(description="What somebody had, or has, to approve.")
    approved_by: str | None
    approved_at: datetime | None
    created_at: datetime
    changes: list[str] = Field(description="What is other than in the version before; at most 50.")


class VersionDetail(VersionOut):
    """A version with its definition."""

    definition: dict[str, Any]
    origins: list[OriginOut]


class MeaningOut(Out):
    """What a change means."""

    about: str = Field(description="capability, trigger, step, input, output, limit, test, text.")
    kind: Literal["added", "removed", "changed", "moved", "widened", "narrowed"]
    name: str
    text: str
    paths: list[str]


class DiffOut(Out):
    """What changed between two versions."""

    from_: int = Field(alias="from")
    to: int
    changes: list[ChangeOut]
    meanings: list[MeaningOut] = Field(description="The same, by what it means.")


class StepWordsOut(Out):
    """A step in words."""

    step: str
    text: str


class WantOut(Out):
    """A capability that a bot wants."""

    kind: str
    name: str
    used_by: list[str]


class CostOut(Out):
    """What a bot will cost; null is not known, and never nothing."""

    execution_usd: float | None
    executions_month: int | None
    month_usd: float | None
    limit_execution_usd: float | None
    limit_month_usd: float | None
    based_on: Literal["history", "definition"]
    unknown: list[str]
    assumed: list[str]


class ExplanationOut(Out):
    """A bot in plain words."""

    name: str
    summary: str
    starts: list[str]
    needs: list[str]
    does: list[StepWordsOut]
    ends: list[str]
    may: list[str]
    limits: list[str]
    text: str = Field(description="All of it, to be read.")
    diagram: str = Field(description="A Mermaid flowchart.")
    wants: list[WantOut]
    cost: CostOut


class LiveOut(Out):
    """Which version is live now."""

    name: str
    version: int


class TimeOut(Out):
    """A time to come."""

    at: datetime
    local: datetime = Field(description="The same in the trigger's time zone.")


class PlannedOut(TriggerOut):
    """A trigger and its next times."""

    times: list[TimeOut]


class PlannedTriggers(Out):
    """The triggers of a bot and their next times."""

    items: list[PlannedOut]


class DueOut(TriggerOut):
    """A trigger that waits for a time."""

    bot: str
    paused: bool = Field(description="The bot is: the time will come, and start nothing.")


class AnswerOut(Out):
    """A time of a trigger, and what was decided."""

    scheduled_at: datetime
    evaluated_at: datetime
    trigger: str
    decision: str
    detail: str
    execution: str | None
    status: Status | None = Field(description="Of the execution.")


class WhyOut(Out):
    """Why a bot was started, and why it was not."""

    bot: str
    status: str
    next_at: datetime | None
    reasons: list[str]
    occurrences: list[AnswerOut]


class StateOut(Out):
    """An entry of what a bot remembers."""

    key: str
    value: Any
    updated_at: datetime


class DayOut(CountsOut):
    """The executions of a bot that were made on one day, in UTC."""

    day: date
    bot: str


class Definition(RootModel[dict[str, Any]]):
    """A definition as JSON, as the schema of definitions has it."""
