"""Folders of programs whose worker is no more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from codex32.outside.sandboxes.folders import new_home, owner, remove_orphans


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_what_a_worker_left_that_died_is_removed_and_nothing_else(tmp_path):
    ask = "from codex32.outside.sandboxes.folders import owner; print(owner())"
    dead = subprocess.check_output([sys.executable, "-c", ask], text=True).strip()
    left, ours = new_home(dead), new_home(owner())
    for folder in (left, ours):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_text("x")
    (left / "link").symlink_to(tmp_path)
    (left / "deep").chmod(0)
    others = [tmp_path / name for name in ("codex32-0123456789abcdef", "codex32-1-2-3-nothex")]
    others.append(tmp_path / new_home(f"1-{os.getpid()}-1").name)  # another namespace's
    for folder in others:
        folder.mkdir()
    assert remove_orphans() == 1
    assert not left.exists()
    assert all(each.exists() for each in [ours, *others])


def test_a_number_that_was_given_to_another_process_is_no_owner():
    space, _, _ = owner().split("-")
    reused = new_home(f"{space}-{os.getpid()}-1")
    reused.mkdir()
    assert remove_orphans() == 1
    assert not reused.exists()
