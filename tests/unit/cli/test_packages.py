"""``codex32 packages``: what it lists and what it removes."""

from __future__ import annotations

import os
import time

import pytest

from codex32.outside.packages.shelf import Key, Shelf


@pytest.fixture
def shelf(codex32, project):
    """A shelf with two environments, one of which was last used long ago."""
    folder = codex32("packages", "list", "--json").json["folder"]
    shelf = Shelf(type(project)(folder))
    for number, requirement in enumerate(("old==1.0", "new==2.0")):
        key = Key.of([requirement])
        with shelf.building(key.digest) as room:
            (room / "packages").mkdir()
            (room / "packages" / "module.py").write_text("x = 1\n")
            shelf.lock(key.digest).parent.mkdir(parents=True, exist_ok=True)
            shelf.lock(key.digest).write_text(
                f'# {{"requires": ["{requirement}"], "python": "here"}}\n'
                f"{requirement} --hash=sha256:0\n"
            )
            shelf.take_in(key, room / "packages")
        os.close(shelf.hold(key.digest))
        ago = time.time() - (50 if number == 0 else 1) * 86_400
        os.utime(shelf.folder / "using" / key.digest, (ago, ago))
    return shelf


def test_they_are_listed_used_last_first(codex32, shelf):
    found = codex32("packages", "list", "--json").json["environments"]
    assert [each["requires"] for each in found] == [["new==2.0"], ["old==1.0"]]
    assert (found[0]["packages"], found[0]["bytes"]) == (["new==2.0"], 6)
    told = codex32("packages", "list").out
    assert "new==2.0" in told
    assert found[0]["digest"][:12] in told


def test_without_options_the_settings_say_what_goes(codex32, shelf):
    tried = codex32("packages", "prune", "--dry-run", "--json").json
    assert ([each["requires"] for each in tried["chosen"]], tried["removed"]) == (
        [["old==1.0"]],
        [],
    )
    assert len(shelf.listing()) == 2
    assert "old==1.0 removed" in codex32("packages", "prune").out
    assert [each.requires for each in shelf.listing()] == [("new==2.0",)]


def test_all_that_is_not_in_use_can_go(codex32, shelf):
    held = shelf.use(Key.of(["old==1.0"]).digest)
    gone = codex32("packages", "prune", "--all", "--json").json["removed"]
    os.close(held)
    assert [each["requires"] for each in gone] == [["new==2.0"]]
    assert codex32("packages", "prune", "--all").code == 0
    assert shelf.listing() == []
    assert "no Python step has required packages here" in codex32("packages", "list").err


def test_a_project_without_any_says_so(codex32, project):
    assert codex32("packages", "list", "--json").json["environments"] == []
    assert "nothing to remove" in codex32("packages", "prune").err
