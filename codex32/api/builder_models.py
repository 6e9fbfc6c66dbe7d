"""What the API takes and answers of bots that are being built."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from codex32.api.bot_models import CostOut, MeaningOut, WantOut
from codex32.api.models import Out
from codex32.api.reading import WITHOUT_NUL, Strict
from codex32.kernel.ids import ID_PATTERN

Status = Literal["working", "asking", "ready", "accepted", "undone", "abandoned", "failed"]
Stage = Literal["interpret", "compose", "prove"]
_Words = Annotated[
    str,
    StringConstraints(min_length=1, max_length=20_000, pattern=WITHOUT_NUL, strip_whitespace=True),
]
_Model = Annotated[str, StringConstraints(pattern=r"^[^:\s]+:\S+$", max_length=200)]
_Bot = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class BuildsQuery(Strict):
    """Which sessions, the newest first."""

    status: list[Status] = Field([], description="Any of them; default: all.")
    cursor: Annotated[str, StringConstraints(pattern=r"^bld_[0-9a-z]{26}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class BuildIn(Strict):
    """What is to be built."""

    description: _Words = Field(description="In plain words; never with a password or a key.")
    bot: _Bot | None = Field(None, description="A bot that is to be changed; default: a new one.")
    model: _Model | None = Field(None, description="Default: the setting builder.model.")
    budget_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="What models may cost; at most, and by default, builder.budget_usd."
    )


class RepairIn(Strict):
    """What failed, and what may be spent on mending it."""

    execution: Annotated[str, StringConstraints(pattern=ID_PATTERN.pattern)]
    hint: Annotated[str, StringConstraints(max_length=20_000, pattern=WITHOUT_NUL)] = Field(
        "", description="What you know about it; a model is asked then, even where a rule knows."
    )
    model: _Model | None = Field(None, description="Default: the setting builder.model.")
    budget_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="What models may cost; at most, and by default, builder.budget_usd."
    )


class AnswersIn(Strict):
    """Answers to what the session asked, in any order, all or some."""

    answers: dict[str, Annotated[str, StringConstraints(max_length=2000)]] = Field(
        {}, description="By the id of the question."
    )
    proceed: bool = Field(False, description="What is not answered takes its stated default.")
    version: int | None = Field(
        None, description="That of the session as it was seen; refused if it was changed since."
    )


class BranchIn(Strict):
    """From where another session goes on."""

    stage: Stage = Field("compose", description="The first that is done anew.")
    description: _Words | None = Field(
        None, description="Instead of the former one; with the stage interpret."
    )


class AcceptIn(Strict):
    """What is accepted."""

    digest: str = Field(min_length=64, max_length=64, description="Of the draft as it was shown.")
    enable: bool = Field(False, description="Whether a new bot may be started at once.")


class QuestionOut(Out):
    """Something that a wrong guess about would hurt."""

    id: str
    about: str
    question: str
    options: list[str]
    default: str = Field(description="What holds if nobody answers.")
    answer: str | None
    late: bool = Field(description="It came up only when a draft was written.")


class BuildOut(Out):
    """A session of the builder."""

    id: str
    status: Status
    stage: Stage
    version: int
    ahead: int | None = Field(
        description="Where it waits for its turn: how many sessions come before it."
    )
    message: str = Field(description="Why it failed, or what it waits for.")
    description: str
    model: str
    bot: str | None
    parent: str | None
    repairs: str | None = Field(description="The failed execution that it mends the bot after.")
    owner: str
    specification: dict[str, Any] | None
    questions: list[QuestionOut]
    assumptions: list[str]
    accepted: dict[str, Any] | None
    cost_usd: float
    budget_usd: float
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime


class DraftCodeOut(Out):
    """Code of a step."""

    step: str
    code: str


class DraftTestOut(Out):
    """A test, and what it showed."""

    name: str
    passed: bool
    faults: list[str]


class ProofOut(Out):
    """What the tests are worth."""

    tests: list[DraftTestOut]
    python: list[str] = Field(description="Names of those that are pytest.")
    hollow: list[str] = Field(description="Tests that a bot passes that does nothing.")
    mutants: int = Field(description="Faults that were planted.")
    killed: int
    survivors: list[str]
    share: float


class HeldOut(Out):
    """A question, and what holds."""

    id: str
    about: str
    question: str
    answer: str
    given: bool = Field(description="Somebody answered; else it is the default.")


class ConflictOut(Out):
    """What somebody changed as well as the draft, each in their own way."""

    path: str
    base: Any = Field(description="As it was; null where it was not there, and so of the others.")
    mine: Any = Field(description="As somebody wrote it: this stays.")
    theirs: Any = Field(description="As it was proposed.")


class MergedOut(Out):
    """What somebody changed since the session began, which is in the draft, too."""

    version: int = Field(description="The one that was merged with.")
    conflicts: list[ConflictOut]


class DraftOut(Out):
    """A draft with all that decides whether to accept it."""

    session: str
    status: Status
    name: str
    file: str | None = Field(
        description="Of the bot that is changed, where one owns it: it is changed there."
    )
    digest: str
    yaml: str
    notes: str
    code: list[DraftCodeOut]
    python: str = Field(description="pytest for that code; empty where there is none.")
    proof: ProofOut | None
    capabilities: list[WantOut] = Field(description="All of them; else it may nothing.")
    widens: list[str] = Field(description="What it may beyond the bot that is there.")
    cost: CostOut
    diagram: str = Field(description="Of its steps: a flowchart as Mermaid reads it.")
    changes: list[MeaningOut]
    merged: MergedOut | None = Field(
        description="Null where nobody changed the bot since; else it is proved anew when taken."
    )
    questions: list[HeldOut]
    assumptions: list[str]
