import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.json_values import loads
from codex32.kernel.models import ExecutionRow, OccurrenceRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.watching_rows import FileSeenRow
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.written import Stored
from codex32.services.triggers.file_scan import pattern, scan
from codex32.services.triggers.file_triggers import FileWatcher

BOT = "allow: {{files: [{0}]}}\ntriggers: [{{file: {{path: {0}, changes: [{1}]}}}}]"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def scheduler(
    door: Door, components: Components, definitions: Definitions, payloads: PayloadStore, now: int
) -> Callable[[], Callable[[float], int]]:
    """Starts a scheduler; what it returns looks at a monotonic time."""

    def start() -> Callable[[float], int]:
        time = [0.0]
        watcher = FileWatcher(components.trigger_types, definitions, payloads, lambda: time[0])

        def look(seconds: float) -> int:
            time[0] = seconds
            return asyncio.run(watcher.look(door, lambda: now + int(seconds * 1e6)))

        return look

    return start


def fired(door: Door) -> list[tuple[str, str]]:
    rows = door.read_now(lambda: list(ExecutionRow.select()))
    events = [loads(row.trigger)["event"] for row in rows]
    return sorted((event["change"], event["name"]) for event in events)


def test_files_are_answered_once_they_have_settled(
    door: Door, store: Callable[..., Stored], inbox: Path, scheduler: Any
) -> None:
    (inbox / "old").write_text("known")
    store(BOT.format(inbox, "created, modified, deleted"))
    look = scheduler()
    look(0)
    (inbox / "new").write_text("a")
    look(1)
    (inbox / "new").write_text("a b")  # still being written
    look(2)
    assert fired(door) == []
    look(3)
    assert fired(door) == [("created", "new")]

    (inbox / "new").write_text("other")
    (inbox / "old").unlink()
    look(4)
    look(5)
    look(6)

    assert fired(door) == [("created", "new"), ("deleted", "old"), ("modified", "new")]


def test_what_came_while_nobody_looked_is_found_and_answered_once(
    door: Door, store: Callable[..., Stored], inbox: Path, scheduler: Any
) -> None:
    store(BOT.format(inbox, "created"))
    scheduler()(0)
    (inbox / "meanwhile").write_text("a")

    one, two = scheduler(), scheduler()
    for seconds in (0, 1, 2):
        one(seconds)
        two(seconds)

    assert fired(door) == [("created", "meanwhile")]


def test_a_trigger_that_was_switched_off_takes_what_is_there_as_known(
    door: Door, store: Callable[..., Stored], inbox: Path, scheduler: Any
) -> None:
    store(BOT.format(inbox, "created"))
    look = scheduler()
    look(0)
    store("enabled: false\n" + BOT.format(inbox, "created"))
    look(1)
    assert door.read_now(FileSeenRow.select().count) == 0
    (inbox / "meanwhile").touch()

    store("description: on again\n" + BOT.format(inbox, "created"))
    for seconds in (2, 3, 4):
        look(seconds)
    (inbox / "later").touch()
    look(5)
    look(6)

    assert fired(door) == [("created", "later")]


def test_two_thousand_files_at_once(
    door: Door, store: Callable[..., Stored], inbox: Path, scheduler: Any
) -> None:
    store(BOT.format(inbox, "created"))
    look = scheduler()
    look(0)
    for number in range(2000):
        (inbox / f"{number}").touch()
    look(1)
    assert look(2) == 2000
    assert look(3) == 0
    assert len(fired(door)) == 2000


def test_what_is_not_allowed_is_not_watched(
    door: Door, store: Callable[..., Stored], inbox: Path, scheduler: Any
) -> None:
    store(f"allow: {{files: [{inbox}x]}}\ntriggers: [{{file: {{path: {inbox}}}}}]")
    look = scheduler()
    look(0)
    (inbox / "new").touch()
    look(1)
    look(2)
    (answer,) = door.read_now(lambda: list(OccurrenceRow.select()))
    assert answer.decision == "capability"
    assert "allow.files does not name" in answer.detail


def test_a_folder_that_is_gone_has_not_lost_its_files(
    door: Door, store: Callable[..., Stored], inbox: Path, scheduler: Any
) -> None:
    (inbox / "a").touch()
    store(BOT.format(inbox, "created, deleted"))
    look = scheduler()
    look(0)
    os.rename(inbox, f"{inbox}.away")
    look(1)
    look(3)
    os.rename(f"{inbox}.away", inbox)
    look(4)
    look(6)
    assert fired(door) == []


def test_links_that_lead_out_are_not_followed(inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "f").touch()
    (inbox / "out").symlink_to(tmp_path / "secret")
    (inbox / "dir").symlink_to(tmp_path / "folder")
    (inbox / "in").touch()
    (inbox / "alias").symlink_to(inbox / "in")
    found = scan(str(inbox), "**")
    assert sorted(map(os.path.basename, found.files)) == ["alias", "in"]


@pytest.mark.parametrize(
    ("glob", "path", "meant"),
    [
        ("*", "a.csv", True),
        ("*", "b/a.csv", False),
        ("*", ".hidden", False),
        (".*", ".hidden", True),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "b/c/a.csv", True),
        ("**", "b/c/a", True),
        ("b/?.csv", "b/a.csv", True),
        ("a+b", "aab", False),
        ("**.csv", "b/c/a.csv", True),
        ("**/b/**/d", "a/b/c/b/d", True),
        ("**/b/**/d", "b/.c/b/d", False),
        ("*a*b*a", "xaabbxa", True),
        ("*a*b*a", "xaabbx", False),
        # Each of these took longer than anybody waits, and all other triggers with it.
        ("*a" * 12 + "b", "a" * 80, False),
        ("**/a/" * 12 + "b", "a/" * 80 + "c", False),
    ],
)
def test_globs(glob: str, path: str, meant: bool) -> None:
    assert bool(pattern(glob).fullmatch(path)) is meant
