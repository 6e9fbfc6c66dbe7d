"""A restart reads no file that has not changed."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex32.engine.reading.definition import Reader
from codex32.kernel.database import Door
from codex32.kernel.models import BotRow, VersionRow
from codex32.services.bots.folders import Changes, FolderSync
from codex32.services.bots.known_files import KnownFiles
from codex32.services.bots.registry import Registry

STEP = "type: set\nwith: {values: {}}\n"
CODE = "type: python\nwith: {file: main.py}\n"


class CountingReader(Reader):
    """Notes which files were read."""

    read: list[str]

    def read_text(self, text: str | bytes, **place: Any) -> Any:
        self.read.append(Path(place["file"]).name)
        return super().read_text(text, **place)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bots"
    path.mkdir()
    (path / "one.yaml").write_text(STEP)
    (path / "two.yaml").write_text(f"name: zwei\n{STEP}---\nname: drei\n{STEP}")
    (path / "code.yaml").write_text(CODE)
    (path / "main.py").write_text("def main():\n    return 1\n")
    (path / "bad.yaml").write_text("type: nothing-like-this\n")
    for file in path.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))  # not just written
    return path


@pytest.fixture
def restart(
    reader: Reader, registry: Registry, door: Door, folder: Path, tmp_path: Path
) -> Callable[..., tuple[list[str], Changes]]:
    """Scans as a process that has just started; which files it read, and what it changed."""

    def start(readers: str = "as ever") -> tuple[list[str], Changes]:
        counting = CountingReader(reader._components)
        counting.read = []
        known = KnownFiles(tmp_path / "known.json", readers)
        sync = FolderSync([folder], counting, registry, door, known=known, settle_seconds=0.3)
        changes = asyncio.run(sync.scan())
        return sorted(counting.read), changes

    return start


def rewrite(path: Path, text: str) -> None:
    """Write a file anew, and leave its time and size as they were."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_files_without_faults_are_read_once(restart: Callable[..., Any], door: Door) -> None:
    assert restart()[0] == ["bad.yaml", "code.yaml", "one.yaml", "two.yaml"]

    read, changes = restart()

    assert read == ["bad.yaml"]
    assert not changes
    names = door.read_now(lambda: {row.name for row in BotRow.select()})
    assert names == {"one", "zwei", "drei", "code", "bad"}


def test_the_content_counts_and_not_its_time(restart: Callable[..., Any], folder: Path) -> None:
    restart()
    rewrite(folder / "one.yaml", STEP.replace("set", "Set"))

    assert "one.yaml" in restart()[0]


def test_a_file_beside_it_counts_too(restart: Callable[..., Any], folder: Path) -> None:
    restart()
    rewrite(folder / "main.py", "def main():\n    return 2\n")

    read, changes = restart()

    assert "code.yaml" in read
    assert changes.stored == {"code": "changed"}


def test_other_plugins_or_a_damaged_memory_mean_that_all_is_read(
    restart: Callable[..., Any], tmp_path: Path
) -> None:
    every = restart()[0]

    assert restart("a plugin more")[0] == every
    (tmp_path / "known.json").write_text('{"readers": 1, "fil')
    assert restart("a plugin more")[0] == every


def test_what_is_known_is_read_where_the_rows_say_otherwise(
    restart: Callable[..., Any], door: Door
) -> None:
    restart()
    door.write_now(lambda: VersionRow.delete().execute())
    door.write_now(lambda: BotRow.delete().where(BotRow.name == "one").execute())

    _, changes = restart()

    assert changes.stored["one"] == "created"
    assert {"zwei", "drei", "code"} <= changes.stored.keys()
