"""``codex32 audit``."""

import json
import sqlite3

import pytest


@pytest.fixture
def house(codex32):
    """A project in which ``hello`` was paused and resumed."""
    assert codex32("run", "hello").code == 0
    assert codex32("bots", "pause", "hello").code == 0
    assert codex32("bots", "resume", "hello").code == 0
    return codex32


def test_what_people_do_at_the_command_line_is_listed(house):
    found = house("audit", "list", "--action", "bot", "--json").json["entries"]
    assert [each["action"] for each in found[:2]] == ["bot.resumed", "bot.paused"]
    assert found[0]["actor"]["kind"] == "local"
    assert found[0]["subject"] == "hello"
    assert "bot.paused" in house("audit", "list").out


def test_a_whole_log_is_said_to_be_whole(house):
    whole = house("audit", "verify", "--json")
    assert (whole.code, whole.json["broken"]) == (0, None)


def test_the_first_broken_entry_is_named(house, project):
    with sqlite3.connect(project / ".codex32" / "codex32.db") as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET actor_name = 'eve' WHERE action = 'bot.paused'")
    broken = house("audit", "verify")
    assert broken.code == 1
    assert "is broken: it is not as it was written" in broken.out


def test_old_entries_move_into_a_file_that_is_known_again(house, project):
    sealed = house("audit", "seal", "old.jsonl", "--until", "2100-01-01", "--json")
    assert sealed.code == 0
    lines = [json.loads(line) for line in (project / "old.jsonl").read_text().splitlines()]
    assert [each["seq"] for each in lines] == list(range(1, sealed.json["last"] + 1))
    left = house("audit", "list", "--json").json["entries"]
    assert [each["action"] for each in left] == ["audit.sealed"]
    known = house("audit", "verify", "--file", "old.jsonl")
    assert known.code == 0
    assert "as they were sealed" in known.out
    (project / "old.jsonl").write_text("{}\n")
    assert house("audit", "verify", "--file", "old.jsonl").code == 1


def test_an_export_never_replaces_a_file(house, project):
    (project / "there").write_text("mine")
    assert house("audit", "export", "there").code == 3
    assert (project / "there").read_text() == "mine"
    lines = house("audit", "export", "--action", "bot.paused").out.splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["hello"]
