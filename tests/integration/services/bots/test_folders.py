import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex32 import BotFailed
from codex32.engine.reading.definition import Reader
from codex32.kernel.database import Door
from codex32.kernel.models import BotRow, TriggerRow, VersionRow
from codex32.services.bots import bots
from codex32.services.bots.folders import Changes, FolderSync
from codex32.services.bots.registry import Registry
from codex32.services.bots.watching import watch
from codex32.services.bots.written import Stored

STEP = "type: set\nwith: {values: {}}\n"


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def door(open_door: Callable[..., Door], told: list[Any]) -> Door:
    return open_door(on_commit=told.extend)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bots"
    path.mkdir()
    return path


@pytest.fixture
def sync_of(reader: Reader, registry: Registry, door: Door) -> Callable[..., FolderSync]:
    def make(*folders: Path, settle_seconds: float = 0.0) -> FolderSync:
        return FolderSync(folders, reader, registry, door, settle_seconds=settle_seconds)

    return make


@pytest.fixture
def scan(sync_of: Callable[..., FolderSync], folder: Path) -> Callable[[], Changes]:
    sync = sync_of(folder)
    return lambda: asyncio.run(sync.scan())


def rows(door: Door) -> dict[str, BotRow]:
    return door.read_now(lambda: {row.name: row for row in BotRow.select()})


def test_files_become_bots_and_bots_follow_their_files(
    scan: Callable[[], Changes], folder: Path, door: Door
) -> None:
    (folder / "deep").mkdir()
    (folder / "one.yaml").write_text(STEP)
    (folder / "deep" / "two.yml").write_text(f"name: zwei\n{STEP}---\nname: drei\n{STEP}")

    assert scan().stored == {"one": "created", "zwei": "created", "drei": "created"}
    assert not scan()

    (folder / "one.yaml").write_text(f"priority: 3\n{STEP}")
    (folder / "deep" / "two.yml").write_text(f"name: zwei\n{STEP}")
    changes = scan()

    assert changes.stored == {"one": "changed"}
    assert changes.removed == ["drei"]
    assert rows(door)["one"].source == str(folder / "one.yaml")
    assert [v.number for v in door.read_now(bots.history, "one")] == [2, 1]


def test_what_editors_leave_about_is_no_bot(scan: Callable[[], Changes], folder: Path) -> None:
    names = [".hidden.yaml", ".#lock.yaml", "a.yaml~", ".a.yaml.swp", "4913", "#a.yaml#", "a.txt"]
    for name in names:
        (folder / name).write_text(STEP)
    (folder / ".git").mkdir()
    (folder / ".git" / "b.yaml").write_text(STEP)

    changes = scan()

    assert (changes.stored, changes.problems) == ({}, {})


def test_a_broken_file_keeps_its_bot_and_all_others_work(
    scan: Callable[[], Changes], folder: Path, door: Door, told: list[Any]
) -> None:
    (folder / "good.yaml").write_text(STEP)
    file = folder / "named.yaml"
    file.write_text(f"name: other\n{STEP}")
    scan()

    file.write_text("name: other\nsteps: [")
    broken = scan()
    again = scan()
    standing = rows(door)

    assert (broken.failed, again.failed) == (["other"], [])
    assert [p.code for p in broken.problems[str(file)]] == ["syntax"]
    assert broken.problems == again.problems
    assert standing["other"].problems is not None
    assert (standing["other"].enabled, standing["other"].removed_at) == (True, None)
    assert set(standing) == {"good", "other"}

    file.write_text(f"name: other\n{STEP}")

    assert scan().stored == {"other": "restored"}
    assert rows(door)["other"].problems is None
    door.close()
    assert len([e for e in told if isinstance(e, BotFailed)]) == 1


def test_a_new_file_with_faults_is_listed_under_the_name_it_would_have(
    scan: Callable[[], Changes], folder: Path, door: Door
) -> None:
    (folder / "half.yaml").write_text("steps: [")

    assert scan().failed == ["half"]
    assert rows(door)["half"].active_version_id is None
    (folder / "half.yaml").write_text(f"name: whole\n{STEP}")
    changes = scan()

    assert (changes.stored, changes.removed) == ({"whole": "created"}, ["half"])


def test_a_removed_file_disables_its_bot_until_it_comes_back(
    scan: Callable[[], Changes], folder: Path, door: Door
) -> None:
    file = folder / "one.yaml"
    file.write_text(f"triggers: [{{every: 1h}}]\n{STEP}")
    scan()
    file.unlink()

    assert scan().removed == ["one"]
    assert not rows(door)["one"].enabled
    assert not door.read_now(lambda: TriggerRow.get().enabled)

    file.write_text(f"triggers: [{{every: 1h}}]\n{STEP}")

    assert scan().stored == {"one": "restored"}
    assert rows(door)["one"].enabled
    assert door.read_now(lambda: TriggerRow.get().enabled)


def test_a_file_that_moves_keeps_its_bot_without_an_outage(
    sync_of: Callable[..., FolderSync], folder: Path, door: Door
) -> None:
    sync = sync_of(folder, settle_seconds=60)
    (folder / "a.yaml").write_text(f"name: one\ntriggers: [{{every: 1h}}]\n{STEP}")
    asyncio.run(sync.scan())
    before = door.read_now(lambda: TriggerRow.get())
    (folder / "a.yaml").rename(folder / "b.yaml")

    changes = asyncio.run(sync.scan())

    assert (changes.stored, changes.removed, changes.problems) == ({"one": "moved"}, [], {})
    after = door.read_now(lambda: TriggerRow.get())
    assert (after.id, after.next_at, after.enabled) == (before.id, before.next_at, True)
    assert rows(door)["one"].source == str(folder / "b.yaml")


def test_a_line_about_a_fault_names_the_file_and_the_bot_where_it_is_one(
    scan: Callable[[], Changes], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = {
        "named": f"name: sound\n{STEP}---\nname: broken\ntype: nothing\n",
        "stem": "type: nothing\n",
        "renamed": f"name: before\n{STEP}",
        "two": f"name: first\n{STEP}---\nname: second\n{STEP}",
        "twin": f"name: sound\n{STEP}",
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    scan()
    for name in ("renamed", "two"):
        (folder / f"{name}.yaml").write_text("steps: [")
    scan()
    about = {(Path(each.file).stem, getattr(each, "bot", None)) for each in caplog.records}
    assert {each.workspace for each in caplog.records} == {"default"}
    named = {("named", "broken"), ("stem", "stem"), ("renamed", "before"), ("twin", "sound")}
    assert about == named | {("two", None)}


def test_the_second_file_of_a_name_is_at_fault_and_named_the_first(
    scan: Callable[[], Changes], folder: Path, door: Door
) -> None:
    (folder / "b.yaml").write_text(f"name: one\n{STEP}")
    scan()
    (folder / "a.yaml").write_text(f"name: one\npriority: 5\n{STEP}")

    changes = scan()

    (problem,) = changes.problems[str(folder / "a.yaml")]
    assert str(folder / "b.yaml") in problem.message
    assert rows(door)["one"].source == str(folder / "b.yaml")

    (folder / "b.yaml").unlink()

    assert scan().stored == {"one": "changed"}


def test_a_bot_of_the_api_is_not_taken_over(
    scan: Callable[[], Changes], folder: Path, door: Door, store: Callable[..., Stored]
) -> None:
    store("name: one", origin="api")
    (folder / "one.yaml").write_text(f"priority: 5\n{STEP}")

    changes = scan()

    assert "belongs to the API" in changes.problems[str(folder / "one.yaml")][0].message
    assert rows(door)["one"].origin == "api"


def test_a_folder_that_vanishes_changes_nothing_and_is_reported(
    scan: Callable[[], Changes], folder: Path, door: Door, tmp_path: Path
) -> None:
    (folder / "one.yaml").write_text(STEP)
    scan()
    folder.rename(tmp_path / "elsewhere")

    changes = scan()

    assert not changes
    assert list(changes.problems) == [str(folder)]
    assert rows(door)["one"].enabled

    (tmp_path / "elsewhere").rename(folder)
    assert not scan().problems


def test_files_that_cannot_be_read_are_faults_of_their_own(
    scan: Callable[[], Changes], folder: Path, door: Door
) -> None:
    (folder / "good.yaml").write_text(STEP)
    (folder / "latin.yaml").write_bytes(b"description: caf\xe9\n" + STEP.encode())
    (folder / "huge.yaml").write_text("# " + "x" * 300_000 + "\n" + STEP)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "nowhere.yaml").symlink_to(folder / "missing")
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.yaml")

    changes = scan()

    assert changes.stored == {"good": "created"}
    names = {Path(path).name for path in changes.problems}
    assert names == {"latin.yaml", "huge.yaml", "loop", "nowhere.yaml", "pipe.yaml"}


def test_a_file_that_is_being_written_is_looked_at_again_before_it_is_reported(
    sync_of: Callable[..., FolderSync], folder: Path, door: Door
) -> None:
    sync = sync_of(folder, settle_seconds=5)
    file = folder / "one.yaml"
    file.write_text(STEP)
    asyncio.run(sync.scan())
    file.write_text("steps: [")

    early = asyncio.run(sync.scan())

    assert (early.again, early.problems, early.failed) == (True, {}, [])
    old = time.time() - 6
    os.utime(file, (old, old))
    assert asyncio.run(sync.scan()).failed == ["one"]


def test_a_half_written_file_of_an_earlier_life_does_not_disable_its_bot(
    sync_of: Callable[..., FolderSync], folder: Path, door: Door
) -> None:
    (folder / "one.yaml").write_text(STEP)
    asyncio.run(sync_of(folder).scan())
    (folder / "one.yaml").write_text("steps: [")

    changes = asyncio.run(sync_of(folder, settle_seconds=5).scan())

    assert changes.again
    assert not changes
    assert rows(door)["one"].enabled


def test_a_changed_inlined_file_is_a_new_version(
    scan: Callable[[], Changes], folder: Path, door: Door
) -> None:
    (folder / "code.py").write_text("def main():\n    return 1\n")
    (folder / "one.yaml").write_text("type: python\nwith: {file: code.py}\n")
    scan()
    assert not scan()

    (folder / "code.py").write_text("def main():\n    return 222\n")

    assert scan().stored == {"one": "changed"}
    version = door.read_now(bots.history, "one")[0]
    assert "return 222" in version.document


def test_several_folders_are_one_registry(
    sync_of: Callable[..., FolderSync], tmp_path: Path, door: Door
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.yaml").write_text(STEP)
    sync = sync_of(tmp_path / "a", tmp_path / "b")
    asyncio.run(sync.scan())
    (tmp_path / "b" / "b.yaml").unlink()

    assert asyncio.run(sync.scan()).removed == ["b"]
    assert rows(door)["a"].enabled


def test_two_schedulers_on_one_folder_agree(
    sync_of: Callable[..., FolderSync], folder: Path, door: Door
) -> None:
    for number in range(20):
        (folder / f"bot-{number}.yaml").write_text(STEP)
    first, second = sync_of(folder), sync_of(folder)

    async def both() -> list[Changes]:
        return await asyncio.gather(first.scan(), second.scan())

    one, other = asyncio.run(both())

    assert len(one.stored) + len(other.stored) == 20
    assert door.read_now(lambda: VersionRow.select().count()) == 20
    assert not any(asyncio.run(both()))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_watching_applies_a_change_and_stops_when_told(
    sync_of: Callable[..., FolderSync], folder: Path
) -> None:
    seen: asyncio.Queue[Changes] = asyncio.Queue()
    stop = asyncio.Event()
    watching = asyncio.create_task(
        watch(sync_of(folder, settle_seconds=0.1), stop, seen.put, poll_seconds=60)
    )

    def save(text: str) -> None:
        temporary = folder / ".one.yaml.tmp"
        temporary.write_text(text)
        temporary.rename(folder / "one.yaml")

    await asyncio.to_thread(save, STEP)
    async with asyncio.timeout(60):
        assert (await seen.get()).stored == {"one": "created"}
        await asyncio.to_thread(save, f"priority: 4\n{STEP}")
        assert (await seen.get()).stored == {"one": "changed"}
        await asyncio.to_thread((folder / "one.yaml").unlink)
        assert (await seen.get()).removed == ["one"]
        stop.set()
        await watching


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_folder_that_is_made_later_is_watched(
    sync_of: Callable[..., FolderSync], tmp_path: Path
) -> None:
    seen: asyncio.Queue[Changes] = asyncio.Queue()
    stop = asyncio.Event()
    folder = tmp_path / "later"
    watching = asyncio.create_task(watch(sync_of(folder), stop, seen.put, poll_seconds=1))

    def make() -> None:
        made = tmp_path / "made"
        made.mkdir()
        (made / "one.yaml").write_text(STEP)
        made.rename(folder)

    await asyncio.to_thread(make)
    async with asyncio.timeout(60):
        assert (await seen.get()).stored == {"one": "created"}
        stop.set()
        await watching
