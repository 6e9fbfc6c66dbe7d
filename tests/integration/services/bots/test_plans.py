"""Versions as workers carry them out: read together where many are asked for at once."""

import asyncio
from collections.abc import Callable

import pytest

from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.errors import BotInvalid, VersionNotFound
from codex32.kernel.models import ProvenanceRow, VersionRow
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.plans import Plans
from codex32.services.bots.written import Stored

CODE = "name: {name}\ntype: python\nwith: {{code: 'def main(): return {number}'}}"


@pytest.fixture
def plans(door: Door, definitions: Definitions, components: Components) -> Plans:
    return Plans(door, definitions, components, keep=20)


async def ask(plans: Plans, version_ids: list[str]) -> list[object]:
    return await asyncio.gather(*map(plans.plan, version_ids), return_exceptions=True)


async def test_those_that_are_asked_for_at_once_are_read_at_once(
    door: Door, plans: Plans, store: Callable[..., Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = [
        await asyncio.to_thread(store, CODE.format(number=number, name=f"bot-{number}"))
        for number in range(30)
    ]
    versions = [each.version_id for each in stored]
    readings = []
    read_surely = door.read_surely

    async def counted(work, *args):
        readings.append(work)
        return await read_surely(work, *args)

    monkeypatch.setattr(door, "read_surely", counted)
    found = await ask(plans, [*versions, *versions])

    assert len(readings) == 1
    assert [plan.version_id for plan in found] == [*versions, *versions]
    kept = next(iter(plans._plans))
    assert await plans.plan(kept) is plans._plans[kept]
    assert len(readings) == 1
    await ask(plans, versions)  # not all of them are kept
    assert len(readings) == 2


async def test_one_that_is_at_fault_stands_in_nobodys_way(
    door: Door,
    plans: Plans,
    definitions: Definitions,
    store: Callable[..., Stored],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, bad, odd = [await asyncio.to_thread(store, f"name: {name}") for name in "abc"]

    def spoil() -> None:
        broken = '{"name": "b", "steps": [{"id": "x", "type": "gone"}]}'
        VersionRow.update(document=broken).where(VersionRow.id == bad.version_id).execute()

    await door.write(spoil)
    read = definitions._read

    def fails(document):
        if document["name"] == "c":
            raise RuntimeError("a plugin's schema broke")
        return read(document)

    monkeypatch.setattr(definitions, "_read", fails)
    asked = ["ver_nobody", bad.version_id, good.version_id, odd.version_id]
    found = await ask(plans, asked)

    assert isinstance(found[0], VersionNotFound)
    assert isinstance(found[1], BotInvalid)
    assert found[2].version_id == good.version_id
    assert isinstance(found[3], RuntimeError)


async def test_only_those_that_hold_what_the_builder_wrote_are_the_builders(
    door: Door, plans: Plans, store: Callable[..., Stored]
) -> None:
    mine, theirs = [
        await asyncio.to_thread(store, CODE.format(number=number, name=name))
        for number, name in enumerate("ab")
    ]

    def written_by_the_builder() -> None:
        ours = ProvenanceRow.version_id == theirs.version_id
        code = ProvenanceRow.digest != VersionRow.select(VersionRow.digest).where(
            VersionRow.id == theirs.version_id
        )
        assert ProvenanceRow.update(origin="builder").where(ours & code).execute() == 1

    await door.write(written_by_the_builder)
    found = await ask(plans, [mine.version_id, theirs.version_id])
    assert [plan.origin for plan in found] == ["api", "builder"]
