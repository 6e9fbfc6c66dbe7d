from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from codex32 import ManualClock
from codex32.builtin import plugin as builtin
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import loads
from codex32.kernel.models import ExecutionRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.alerts.watching import Watch
from codex32.services.bots.definitions import Definitions
from codex32.services.executions.starting import Starter


@pytest.fixture
def components() -> Components:
    return Components.of(
        bot_types=builtin.register_bot_types(),
        trigger_types=builtin.register_trigger_types(),
        notifiers=builtin.register_notifiers(),
    )


@pytest.fixture
def watch(
    door: Door, definitions: Definitions, payloads: PayloadStore, manual_clock: ManualClock
) -> Watch:
    starter = Starter(door, definitions, payloads, manual_clock)
    return Watch(door, starter, manual_clock)


@pytest.fixture
def look(watch: Watch) -> Callable[[], int]:
    """Looks at all alerts once; how many changed."""
    return lambda: asyncio.run(watch.look())


@pytest.fixture
def ended(
    door: Door, execution: Callable[..., str], manual_clock: ManualClock
) -> Callable[..., Any]:
    """Writes executions of a bot that end now, one a status."""

    def write(bot_id: str, *statuses: str, **values: Any) -> None:
        now = manual_clock.micros()
        for status in statuses:
            made = new_id("exe", now=lambda: now / 1e6)
            row = {"created_at": now, "finished_at": now, **values}
            door.write_now(
                lambda made=made, status=status, row=row: execution(  # type: ignore[misc]
                    id=made, bot_id=bot_id, status=status, **row
                )
            )

    return write


@pytest.fixture
def row(door: Door) -> Callable[..., AlertRow]:
    """The one alert, or that of a name."""

    def read(name: str | None = None) -> AlertRow:
        def find() -> AlertRow:
            (found,) = [each for each in AlertRow.select() if name in (None, each.name)]
            return found

        return door.read_now(find)

    return read


@pytest.fixture
def notices(door: Door) -> Callable[[], list[dict[str, Any]]]:
    """The inputs of the executions that carry notices, in their order."""

    def read() -> list[dict[str, Any]]:
        carried = ExecutionRow.select().where(ExecutionRow.trigger_kind == "alert")
        return [loads(each.inputs) for each in carried.order_by(ExecutionRow.id)]

    return lambda: door.read_now(read)
