"""What an attempt knows of its execution's steps: from the rows, and from its own work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from codex32.engine.records.parts import is_part, step_of
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import FINAL_STEP, StepStatus


@dataclass(slots=True)
class Known:
    """A step, or an item of it, as far as it got. Times in microseconds."""

    status: StepStatus
    tries: int = 0
    input: JSON = None
    output: JSON = None
    error: JSON = None
    effect: str = "none"
    note: Mapping[str, JSON] = field(default_factory=dict)
    started_at: int | None = None
    #: The column text of ``input``, where it is at hand.
    packed_input: str | None = None

    @property
    def final(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.status in FINAL_STEP


class Results:
    """Steps by id and item."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Known] = {}
        #: What expressions see as ``steps``.
        self.scope: dict[str, dict[str, JSON]] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing has happened yet."""
        return not self._known

    def restore(self, rows: Iterable[StepRow], payloads: PayloadStore) -> None:
        """Take up what earlier attempts recorded."""
        for row in rows:
            known = Known(
                status=StepStatus(row.status),
                tries=row.tries,
                input=payloads.unpack(row.execution_id, row.input),
                output=payloads.unpack(row.execution_id, row.output),
                error=payloads.unpack(row.execution_id, row.error),
                effect=row.effect,
                note=payloads.unpack(row.execution_id, row.note) or {},
                started_at=row.started_at,
                packed_input=row.input,
            )
            self.put(row.step, row.item, known)

    def put(self, step: str, item: int, known: Known) -> None:
        """Remember how a step, or an item, stands."""
        self._known[step, item] = known
        seen = item == NO_ITEM and not is_part(step)
        if seen and (known.final or known.status is StepStatus.UNKNOWN):
            self.scope[step] = {
                "output": known.output,
                "status": known.status.value,
                "error": known.error,
            }

    def fill(self, steps: Iterable[str]) -> None:
        """Let expressions see steps that were never reached, as ``pending``: for closing steps."""
        nothing = {"output": None, "status": StepStatus.PENDING.value, "error": None}
        for step in steps:
            self.scope.setdefault(step, dict(nothing))

    def get(self, step: str, item: int = NO_ITEM) -> Known | None:
        """How a step, or an item, stands; None where nothing happened yet."""
        return self._known.get((step, item))

    def unfinished(self, step: str) -> dict[tuple[str, int], Known]:
        """What was begun of a step and its parts and is not over, by step or part, and item."""
        return {
            place: known
            for place, known in self._known.items()
            if step_of(place[0]) == step and not known.final
        }

    def begun_since(self, moment: int) -> bool:
        """Whether a step was begun at ``moment`` (microseconds) or later."""
        return any((known.started_at or 0) >= moment for known in self._known.values())

    def slots(self) -> list[tuple[str, int]]:
        """Rate limits and the slots of them that steps and items wait for."""
        notes = [known.note["rate"] for known in self._known.values() if "rate" in known.note]
        return [(note["key"], note["at"]) for note in notes]

    def tokens(self) -> list[str]:
        """What steps and items wait for, by name; for a child, its id."""
        waits = [k.note["wait"] for k in self._known.values() if not k.final and "wait" in k.note]
        return [wait["token"] for wait in waits if wait.get("token") is not None]

    def asked(self) -> bool:
        """Whether a step that is not over has asked people."""
        waits = (known.note.get("wait") for known in self._known.values() if not known.final)
        return any(wait and wait.get("approval") for wait in waits)

    def done(self, step: str) -> bool:
        """Whether the step as a whole is over."""
        known = self._known.get((step, NO_ITEM))
        return known is not None and known.final

    def status(self, step: str) -> StepStatus:
        """The step's status; ``pending`` where nothing happened yet."""
        known = self._known.get((step, NO_ITEM))
        return StepStatus.PENDING if known is None else known.status
