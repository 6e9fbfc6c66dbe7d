"""Doing the same to many executions: each as if it were asked for alone, all accounted for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door
from codex32.kernel.errors import Codex32Error, ExecutionNotFound, InvalidTransition
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ExecutionRow
from codex32.kernel.statuses import Status
from codex32.services.executions import dead_letters, executions
from codex32.services.executions.retrying import Retrier, Retry

#: Executions of one request.
MOST = 1000
#: Executions of one transaction, which all others wait for.
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one of them.

    Attributes:
      made: The retry, where there is one.
      fault: Why nothing was done.
    """

    id: str
    made: str | None = None
    fault: Codex32Error | None = None

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        fault = self.fault
        return {
            "id": self.id,
            "done": fault is None,
            "retry": self.made,
            "code": None if fault is None else fault.code,
            "message": None if fault is None else fault.message,
        }


@dataclass(frozen=True, slots=True)
class Bulk:
    """Carries out wishes for many; ``dry`` ones change nothing, and tell what would be refused.

    Attributes:
      by: Who wishes it; in their workspace alone anything is found.
      now: Microseconds.
    """

    door: Door
    by: Caller
    now: int
    dry: bool = False

    async def cancel(self, ids: Sequence[str]) -> list[Done]:
        """Cancel those that have not ended."""
        return await self._batches(ids, self._cancel)

    async def dismiss(self, ids: Sequence[str], note: str) -> list[Done]:
        """Take those that failed off the list of dead letters."""

        def dismiss(batch: Sequence[str]) -> list[Done]:
            return [_tried(each, lambda each=each: self._dismiss(each, note)) for each in batch]  # type: ignore[misc]

        return await self._batches(ids, dismiss)

    async def retry(
        self, retrier: Retrier, ids: Sequence[str], *, repeat_effects: bool
    ) -> list[Done]:
        """Do those again that have ended."""
        wishes = [
            Retry(
                each,
                repeat_effects=repeat_effects,
                by=self.by,
                workspace=self.by.workspace,
            )
            for each in ids
        ]
        done = []
        for wish in wishes:
            try:
                retried = (
                    await self.door.read(retrier.look, wish)
                    if self.dry
                    else await retrier.retry(wish)
                )
                done.append(Done(wish.execution_id, retried.id))
            except Codex32Error as error:
                done.append(Done(wish.execution_id, fault=error))
        return done

    async def _batches(
        self, ids: Sequence[str], work: Callable[[Sequence[str]], list[Done]]
    ) -> list[Done]:
        done: list[Done] = []
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            run = self.door.read if self.dry else self.door.write
            done += await run(lambda batch=batch: work(batch))  # type: ignore[misc]
        return done

    def _cancel(self, ids: Sequence[str]) -> list[Done]:
        rows = {row.id: row for row in executions.get_many(ids, workspace=self.by.workspace)}
        if self.dry:
            over = {row.id for row in rows.values() if row.finished_at is not None}
        else:
            over = set(
                executions.cancel_all(
                    list(rows), self.now, workspace=self.by.workspace, by=self.by
                ).over
            )
        return [Done(each, fault=_refusal(each, rows.get(each), over)) for each in ids]

    def _dismiss(self, execution_id: str, note: str) -> None:
        workspace = self.by.workspace
        if self.dry:
            row = executions.get(execution_id, workspace=workspace)
            if row.status != Status.FAILED:
                raise InvalidTransition(row.id, row.status, dead_letters.DISMISSED)
            return
        dead_letters.dismiss(execution_id, self.by, note, self.now, workspace=workspace)


def _refusal(execution_id: str, row: ExecutionRow | None, over: set[str]) -> Codex32Error | None:
    if row is None:
        return ExecutionNotFound(execution_id)
    if execution_id in over:
        return InvalidTransition(execution_id, row.status, Status.CANCELLED)
    return None


def _tried(execution_id: str, work: Callable[[], None]) -> Done:
    try:
        work()
    except Codex32Error as error:
        return Done(execution_id, fault=error)
    return Done(execution_id)
