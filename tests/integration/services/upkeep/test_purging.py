import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from codex32.kernel.caller import HOUSE
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.models import ExecutionRow, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.access import workspaces
from codex32.services.access.faults import WorkspaceInUse
from codex32.services.retrieval.storing import Storing
from codex32.services.upkeep.purging import Purge


async def test_what_begins_while_a_workspace_is_purged_keeps_all_that_is_its_own(
    door: Door, execution: Callable[..., str], components: Components, now: int, tmp_path: Path
) -> None:
    def begin() -> None:
        late = execution(workspace="lab", ready_at=now)
        StepRow.insert(execution_id=late, step="a", status="succeeded").execute()

    class Late(PayloadStore):
        """Something begins as soon as the first history is gone."""

        def remove(self, execution_id: str) -> None:
            super().remove(execution_id)
            door.write_now(begin)

    def fill() -> None:
        workspaces.create("lab", "", HOUSE, now)
        execution(workspace="lab", status="succeeded", finished_at=now)

    await door.write(fill)
    payloads = Late(tmp_path / "payloads", limit_bytes=1024)
    purge = Purge(door, door.write, payloads, Storing(door, components))

    with pytest.raises(WorkspaceInUse):
        await asyncio.wait_for(purge("lab", HOUSE, now), 60)

    assert await door.read(lambda: [StepRow.select().count(), ExecutionRow.select().count()]) == [
        1,
        1,
    ]
