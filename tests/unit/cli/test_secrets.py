"""``codex32 secrets`` and what it never shows."""

import io
import sys

import pytest

CANARY = "canary-77d1"
USER = """\
allow: {secrets: [TOKEN]}
type: set
with: {values: {shown: "${{ secrets.TOKEN }}", length: "${{ size(secrets.TOKEN) }}"}}
"""


@pytest.fixture
def give(monkeypatch):
    """Let the next command read ``text`` from its standard input."""

    def give(text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return give


@pytest.fixture
def house(codex32, project):
    """A project with a database, and the bot ``user``."""
    (project / "bots" / "user.yaml").write_text(USER)
    assert codex32("db", "upgrade").code == 0
    return codex32


def test_a_value_comes_from_standard_input_or_a_file_and_is_never_shown(house, give, project):
    give(f"{CANARY}\n")
    told = [house("secrets", "set", "TOKEN", "--json")]
    assert told[0].json["version"] == 1
    (project / "value").write_text(f"{CANARY} 2")
    told += [house("secrets", "set", "TOKEN", "--file", "value")]
    assert told[1].out == "TOKEN has its value number 2\n"
    told += [house("secrets", "list"), house("secrets", "list", "--json")]
    assert told[3].json["secrets"][0]["name"] == "TOKEN"
    assert not any(CANARY in each.out + each.err for each in told)


def test_a_bot_is_given_the_secret_and_it_is_masked(house, give):
    give(f"{CANARY}\n")
    house("secrets", "set", "TOKEN")
    ran = house("run", "user", "--json")
    assert ran.code == 0
    assert ran.json["output"] == {"shown": "***", "length": len(CANARY)}
    assert house("secrets", "list", "--json").json["secrets"][0]["bots"] == ["user"]


def test_the_database_goes_before_the_environment(house, give, monkeypatch):
    monkeypatch.setenv("CODEX32_SECRET_TOKEN", "of the environment")
    assert house("run", "user", "--json").json["output"]["length"] == 18
    give("short")
    house("secrets", "set", "TOKEN")
    assert house("run", "user", "--json").json["output"]["length"] == 5


def test_the_check_tells_what_no_store_knows(house, give):
    house("run", "user")
    found = house("secrets", "check", "--json")
    assert found.code == 1
    assert [each["path"] for each in found.json["problems"]] == ["default/TOKEN"]
    give(CANARY)
    house("secrets", "set", "TOKEN")
    assert house("secrets", "check").out == "every secret opens, and no bot lacks one\n"


def test_deleting_what_a_bot_uses_wants_to_be_meant(house, give):
    give(CANARY)
    house("secrets", "set", "TOKEN")
    house("run", "user")
    assert house("secrets", "delete", "TOKEN", "--json").code == 2
    assert house("secrets", "delete", "TOKEN", "--dry-run", "--json").json["bots"] == ["user"]
    assert house("secrets", "delete", "TOKEN", "--yes").out == "TOKEN deleted; used by user\n"
    assert house("secrets", "delete", "TOKEN").code == 3


def test_rotating_makes_a_key_and_everything_opens_as_before(house, give, project):
    give(CANARY)
    house("secrets", "set", "TOKEN")
    rotated = house("secrets", "rotate", "--json")
    assert rotated.json == {"key": "k2", "data_keys": 2}
    keys = (project / ".codex32" / "keys").read_text()
    assert [line.partition(":")[0] for line in keys.splitlines()] == ["k2", "k1"]
    assert house("secrets", "rekey", "--json").json == {"secrets": 1}
    assert house("secrets", "check").code == 0


def test_without_its_key_the_house_does_not_start(house, give, project):
    give(CANARY)
    house("secrets", "set", "TOKEN")
    (project / ".codex32" / "keys").unlink()
    for command in (("secrets", "check"), ("scheduler",)):
        refused = house(*command, "--json") if command[0] == "secrets" else house(*command)
        assert refused.code == 4
        assert "backup" in refused.err


def test_who_sets_a_secret_too_short_to_be_masked_is_warned(house, give):
    give("abc")
    assert "cannot be masked" in house("secrets", "set", "PIN").err
    give(CANARY)
    assert house("secrets", "set", "TOKEN").err == ""
    give(CANARY)
    assert house("secrets", "set", "TOKEN", "--workspace", "nowhere").code == 3


def test_a_wrong_name_is_told_without_the_value(house, give):
    give(CANARY)
    refused = house("secrets", "set", "no name")
    assert refused.code == 2
    assert CANARY not in refused.err
