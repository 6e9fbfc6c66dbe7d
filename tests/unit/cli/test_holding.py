from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from codex32.cli.holding import hold
from codex32.kernel.errors import FolderHeld


def test_the_second_is_told_who_holds_the_folder_since_when_and_where(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        first.tell("http://127.0.0.1:8032")
        with pytest.raises(FolderHeld) as refused, hold(tmp_path):
            pytest.fail("it was held twice")
    told = refused.value.message
    assert f"process {os.getpid()} since 20" in told
    assert re.search(r"at http://127\.0\.0\.1:8032$", told)


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with hold(tmp_path / "made"):
            pass


def test_a_lock_file_that_says_nothing_still_locks(tmp_path: Path) -> None:
    with hold(tmp_path):
        (tmp_path / "up.lock").write_text("")
        with pytest.raises(FolderHeld, match="another process"), hold(tmp_path):
            pytest.fail("it was held twice")
