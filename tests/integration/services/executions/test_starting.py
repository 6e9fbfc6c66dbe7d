import asyncio
from collections.abc import Callable

import pytest

from codex32 import BotInvalid, BotNotFound, InputsInvalid, ManualClock, Problem, StepFault
from codex32.engine.running.environment import ChildRequest
from codex32.kernel.database import Door
from codex32.kernel.errors import BotDisabled, VersionNotFound
from codex32.kernel.json_values import loads
from codex32.kernel.models import ExecutionRow, VersionRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import Stored, Written
from codex32.services.executions.executions import Submitted
from codex32.services.executions.starting import MAX_DEPTH, Start, Starter


@pytest.fixture
def starter(
    door: Door, definitions: Definitions, payloads: PayloadStore, manual_clock: ManualClock
) -> Starter:
    return Starter(door, definitions, payloads, manual_clock)


def get(door: Door, submitted: Submitted) -> ExecutionRow:
    return door.read_now(lambda: ExecutionRow.get_by_id(submitted.id))


def test_a_bot_starts_at_its_live_version_with_its_defaults(
    door: Door, store: Callable[..., Stored], starter: Starter
) -> None:
    stored = store("priority: 7\ninputs: {n: {type: integer, default: 3}, s: {type: string}}")

    row = get(door, starter.start_now(Start("ping", {"s": "x"})))

    assert (row.version_id, row.version_number) == (stored.version_id, 1)
    assert (row.status, row.priority, row.trigger_kind) == ("queued", 7, "manual")
    assert loads(row.inputs) == {"n": 3, "s": "x"}
    assert loads(row.trigger) == {"kind": "manual", "at": "2026-01-05T12:00:00.000Z"}


def test_faults_of_one_start_do_not_touch_the_others(
    door: Door, store: Callable[..., Stored], starter: Starter
) -> None:
    store("name: good\ninputs: {n: {type: integer}}")

    async def all_at_once() -> list[object]:
        starts = [
            Start("good", {"n": 1}),
            Start("good", {"n": "one", "m": 2}),
            Start("goood"),
            Start("good", version_id="ver_none"),
            Start("good", {"n": 2}),
        ]
        return await asyncio.gather(*map(starter.start, starts), return_exceptions=True)

    results = asyncio.run(all_at_once())

    assert [type(each) for each in results] == [
        Submitted,
        InputsInvalid,
        BotNotFound,
        VersionNotFound,
        Submitted,
    ]
    assert {p.path for p in results[1].problems} == {"n", "m"}  # type: ignore[attr-defined]
    assert "did you mean 'good'" in str(results[2])
    assert door.read_now(lambda: ExecutionRow.select().count()) == 2


def test_a_paused_bot_starts_by_hand_and_a_disabled_or_removed_one_does_not(
    door: Door, store: Callable[..., Stored], starter: Starter, registry: Registry, now: int
) -> None:
    store("name: paused")
    door.write_now(lambda: bots.pause("paused", now))
    off = store("name: off\nenabled: false")
    store("name: gone", origin="file", source="/bots/gone.yaml")
    door.write_now(lambda: bots.remove("gone", now, origin="file"))
    door.write_now(lambda: bots.fail("bad", "/bots/bad.yaml", [Problem("no steps")], now))

    assert starter.start_now(Start("paused")).id
    with pytest.raises(BotDisabled, match="enabled: false"):
        starter.start_now(Start("off"))
    assert starter.start_now(Start("off", version_id=off.version_id)).id
    with pytest.raises(BotDisabled, match=r"its file /bots/gone\.yaml is gone"):
        starter.start_now(Start("gone"))
    with pytest.raises(BotInvalid, match="no steps"):
        starter.start_now(Start("bad"))


def test_a_version_that_is_not_live_can_be_asked_for(
    door: Door, store: Callable[..., Stored], starter: Starter, registry: Registry,
    write: Callable[..., Written], now: int,
) -> None:  # fmt: skip
    store("priority: 1")
    kept = door.write_now(lambda: bots.keep(write("priority: 2", origin="run"), now))

    row = get(door, starter.start_now(Start("ping", version_id=kept.version_id)))

    assert (row.version_number, row.priority) == (2, 2)


def test_a_version_that_a_bot_names_is_one_that_could_be_live(
    door: Door, store: Callable[..., Stored], starter: Starter, registry: Registry, now: int
) -> None:
    def start(version: int) -> str:
        ask = ChildRequest("default", "exe_parent", 1, f"k{version}", "ping", {}, version)
        return asyncio.run(starter.start_child(ask)).id

    store("description: first")
    waiting = store("description: second")
    store("description: third")
    held = VersionRow.update(widens='["hosts: example.com"]')
    door.write_now(held.where(VersionRow.id == waiting.version_id).execute)

    child = start(1)
    row = door.read_now(lambda: ExecutionRow.get_by_id(child))
    assert row.version_number == 1
    with pytest.raises(BotDisabled, match="version 2 of ping is disabled: nobody has approved"):
        start(2)
    with pytest.raises(VersionNotFound, match="4 of ping"):
        start(4)
    door.write_now(lambda: bots.remove("ping", now, origin="api"))
    with pytest.raises(BotDisabled, match="removed"):
        start(3)


def test_the_same_key_is_answered_with_the_first_execution(
    door: Door, store: Callable[..., Stored], starter: Starter
) -> None:
    store("name: one")
    store("name: other")

    first = starter.start_now(Start("one", idempotency_key="k"))
    again = starter.start_now(Start("one", idempotency_key="k"))
    other = starter.start_now(Start("other", idempotency_key="k"))

    assert (again.id, again.repeated) == (first.id, True)
    assert other.id not in (None, first.id)


def test_concurrency_keys_are_gates_of_their_own(
    door: Door, store: Callable[..., Stored], starter: Starter
) -> None:
    store(
        "inputs: {team: {type: string}}\n"
        "concurrency: {limit: 1, key: '${{ inputs.team }}', max_queued: 1}"
    )

    held = [
        (answer := starter.start_now(Start("ping", {"team": team}))).held or answer.id is None
        for team in ("a", "b", "a", "a", "x" * 5000, "nul\0")
    ]

    assert held == [False, False, True, True, False, False]
    assert starter.start_now(Start("ping", {"team": "a"})).id is None


def test_inputs_of_a_start_that_came_to_nothing_leave_no_files(
    door: Door, store: Callable[..., Stored], starter: Starter, payloads: PayloadStore
) -> None:
    store("inputs: {text: {type: string}}\nconcurrency: {limit: 1, when_full: skip}")
    start = {"text": "x" * 9000}

    made = starter.start_now(Start("ping", start))
    skipped = starter.start_now(Start("ping", start))

    row = get(door, made)
    assert payloads.unpack(row.id, row.inputs) == start
    assert skipped.id is None
    assert len([p for p in payloads.directory.rglob("*.json")]) == 1


def test_a_child_is_started_once_and_then_looked_at(
    door: Door, store: Callable[..., Stored], starter: Starter, now: int
) -> None:
    store("priority: 1")
    request = ChildRequest(
        workspace="default", parent_id="exe_p", depth=1, key="child:a", bot="ping", inputs={}
    )

    async def ask() -> object:
        return await starter.start_child(request)

    first = asyncio.run(ask())
    done = {"status": "failed", "cause": "error", "message": "bad", "finished_at": now}
    door.write_now(lambda: ExecutionRow.update(**done).execute())
    again = asyncio.run(ask())

    assert (first.status, first.ended) == ("queued", False)  # type: ignore[attr-defined]
    assert (again.id, again.ended) == (first.id, True)  # type: ignore[attr-defined]
    assert again.error == {"message": "bad", "code": "error"}  # type: ignore[attr-defined]


def test_what_has_ended_starts_no_child(
    door: Door,
    store: Callable[..., Stored],
    starter: Starter,
    execution: Callable[..., str],
    now: int,
) -> None:
    store("priority: 1")
    running = door.write_now(lambda: execution(status="running"))
    over = door.write_now(lambda: execution(status="cancelled", finished_at=now))

    async def ask(parent: str) -> str:
        request = ChildRequest("default", parent, 1, f"child:{parent}", "ping", {})
        return (await starter.start_child(request)).id

    async def both() -> list[str | BaseException]:
        return await asyncio.gather(ask(over), ask(running), return_exceptions=True)

    refused, child = asyncio.run(both())
    assert isinstance(refused, StepFault)
    assert "has ended" in refused.message
    children = ExecutionRow.select(ExecutionRow.id).where(ExecutionRow.parent_id.is_null(False))
    assert door.read_now(lambda: [row.id for row in children]) == [child]


def test_bots_do_not_start_each_other_for_ever(
    store: Callable[..., Stored], starter: Starter
) -> None:
    store("priority: 1")

    with pytest.raises(StepFault, match="started each other 8 times"):
        starter.start_now(Start("ping", depth=MAX_DEPTH + 1))
