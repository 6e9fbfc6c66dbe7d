"""A session of the builder as a value: what was asked, what each stage came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias

from codex32.kernel.building_rows import BuildRow
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.services.presentation import iso

#: What is done one after the other; between the first and the second the person may be asked.
Stage: TypeAlias = Literal["interpret", "compose", "prove"]
STAGES: tuple[Stage, ...] = ("interpret", "compose", "prove")
#: ``working`` is the house's turn, ``asking`` and ``ready`` the person's; the others are the end.
Status: TypeAlias = Literal[
    "working", "asking", "ready", "accepted", "undone", "abandoned", "failed"
]
OPEN: tuple[Status, ...] = ("working", "asking", "ready")


@dataclass(frozen=True, slots=True)
class Question:
    """Something that a wrong guess about would hurt.

    Attributes:
      about: ``recipient credential spend destructive host``.
      options: What may be answered, where that can be listed.
      default: What holds where nobody answers.
      late: Whether it came up only when a draft was written.
    """

    id: str
    about: str
    question: str
    default: str
    options: Sequence[str] = ()
    late: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """What the tests of a draft showed, as the house saw them run.

    Attributes:
      tests: ``{"name", "passed", "faults"}`` of each, in order.
      python: Names of those that are pytest.
      hollow: Names of tests that pass on a bot that does nothing, too.
      mutants: How many faults were planted, and ``killed`` how many of them a test noticed.
      survivors: Those that none noticed, in words.
    """

    tests: Sequence[Mapping[str, JSON]]
    python: Sequence[str] = ()
    hollow: Sequence[str] = ()
    mutants: int = 0
    killed: int = 0
    survivors: Sequence[str] = ()

    @property
    def failing(self) -> list[Mapping[str, JSON]]:
        """The tests that do not pass on the draft."""
        return [each for each in self.tests if not each["passed"]]

    @property
    def share(self) -> float:
        """Of the planted faults, how many were noticed; 1 where nothing could be planted."""
        return self.killed / self.mutants if self.mutants else 1.0


@dataclass(frozen=True, slots=True)
class Work:
    """What a session holds beside the columns of its row.

    Attributes:
      description: In the person's words, secrets masked.
      model: ``provider:model`` that is asked, and ``fallback`` those after it.
      fence: Chance; stands around what others wrote, in prompts.
      specification: What the description was understood as.
      answers: By the id of the question; those of nobody are missing.
      yaml: The draft, its tests included once there are some.
      python: pytest for its Python; empty where it has none, or where pytest is not installed.
      python_before: That of the bot that is refined or mended; empty where there is none.
      proof: Of the draft.
      notes: What the model says about the draft.
      accepted: What somebody accepted, and how: as :func:`accepting.accept` writes it.
      repair: The failed execution that the bot is mended after, as :mod:`.mending` keeps it;
        empty where none is.
    """

    description: str
    model: str
    fallback: Sequence[str] = ()
    fence: str = ""
    specification: Mapping[str, Any] = field(default_factory=dict)
    questions: Sequence[Question] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    yaml: str = ""
    python: str = ""
    python_before: str = ""
    proof: Proof | None = None
    notes: str = ""
    accepted: Mapping[str, JSON] = field(default_factory=dict)
    repair: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """As a row holds it."""
        value = loads(text)
        value["fallback"] = tuple(value["fallback"])
        value["questions"] = tuple(
            Question(**{**each, "options": tuple(each["options"])}) for each in value["questions"]
        )
        if value["proof"] is not None:
            value["proof"] = Proof(**value["proof"])
        return cls(**value)

    def text(self) -> str:
        """For a row."""
        return dumps(asdict(self))

    @property
    def words(self) -> str:
        """All that the person said."""
        return "\n".join([self.description, *self.answers.values()])

    @property
    def open(self) -> list[Question]:
        """What is asked at present: once a draft brought questions up, those alone."""
        return [each for each in self.questions if each.late] or list(self.questions)

    @property
    def given(self) -> tuple[Question, ...]:
        """What was answered, as a branch begins with it: there it comes first."""
        return tuple(replace(q, late=False) for q in self.questions if q.id in self.answers)

    @property
    def unanswered(self) -> bool:
        """Whether something is asked at present that has no answer."""
        return any(each.id not in self.answers for each in self.open)

    def settled(self) -> list[dict[str, JSON]]:
        """The questions with what holds: the answer, or the default where there is none."""
        return [
            {
                "id": each.id,
                "about": each.about,
                "question": each.question,
                "answer": self.answers.get(each.id, each.default),
                "given": each.id in self.answers,
            }
            for each in self.questions
        ]

    @property
    def assumptions(self) -> list[str]:
        """What is taken for granted, defaults of unanswered questions among it."""
        taken = [
            f"{each.question} {each.default or 'nothing'} (nobody answered)"
            for each in self.questions
            if each.id not in self.answers
        ]
        return [*self.specification.get("assumptions", ()), *taken]


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it was when it was read."""

    id: str
    workspace: str
    owner: str
    status: Status
    stage: Stage
    work: Work
    version: int
    budget_nano: int
    deadline_at: int
    created_at: int
    updated_at: int
    parent_id: str | None = None
    bot: str | None = None
    base_version_id: str | None = None
    lease_until: int | None = None
    message: str = ""

    @classmethod
    def of(cls, row: BuildRow) -> Self:
        """A row as a value."""
        columns = {name: getattr(row, name) for name in BuildRow._meta.columns}
        return cls(**{**columns, "work": Work.read(row.work)})

    def columns(self) -> dict[str, Any]:
        """The value as a row."""
        columns = {name: getattr(self, name) for name in BuildRow._meta.columns}
        return {**columns, "work": self.work.text()}

    def now(self, **work: Any) -> Self:
        """With other work."""
        return replace(self, work=replace(self.work, **work))

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON; the draft is told by ``presenting``."""
        work = self.work
        return {
            "id": self.id,
            "status": self.status,
            "stage": self.stage,
            "version": self.version,
            "message": self.message,
            "description": work.description,
            "model": work.model,
            "bot": self.bot,
            "parent": self.parent_id,
            "repairs": work.repair.get("execution"),
            "owner": self.owner,
            "specification": dict(work.specification) or None,
            "questions": [
                {
                    **asdict(each),
                    "options": list(each.options),
                    "answer": work.answers.get(each.id),
                }
                for each in work.questions
            ],
            "assumptions": work.assumptions,
            "accepted": dict(work.accepted) or None,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "deadline_at": iso(self.deadline_at),
        }
