"""``codex32 events`` in a project folder, without a server."""

import io
import sys

import pytest

LISTENS = "triggers: [{event: custom.order.*}]\ntype: set\nwith: {values: {n: 1}}\n"


@pytest.fixture(autouse=True)
def house(codex32):
    assert codex32("db", "upgrade").code == 0


@pytest.fixture
def listening(codex32, project):
    """A bot that listens."""
    (project / "bots" / "listens.yaml").write_text(LISTENS)
    assert codex32("run", "listens").code == 0


def test_publishing_tells_the_id_and_the_list_shows_it(codex32):
    told = codex32("events", "publish", "custom.order.paid", "--data", '{"n": 7}')
    assert (told.code, told.err) == (0, "")
    event_id = told.out.removesuffix(" is published\n")

    listed = codex32("events", "list", "--json").json["events"]

    assert [(each["id"], each["name"], each["data"]) for each in listed] == [
        (event_id, "custom.order.paid", {"n": 7})
    ]
    assert (listed[0]["chain"], listed[0]["delivered_at"]) == ([], None)
    assert '{"n":7}' in codex32("events", "list").out


def test_the_same_key_publishes_once(codex32):
    command = ("events", "publish", "custom.n", "--key", "k", "--json")
    first, second = codex32(*command).json, codex32(*command).json
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert first["id"] == second["id"]
    assert "was published before" in codex32(*command[:-1]).out
    assert len(codex32("events", "list", "--json").json["events"]) == 1


def test_events_of_a_workspace_are_told_there_alone(codex32):
    there = ("--workspace", "shop", "--json")
    made = codex32("events", "publish", "custom.n", *there).json["id"]
    (found,) = codex32("events", "list", *there).json["events"]
    assert (found["id"], found["published_by"]["kind"]) == (made, "local")
    assert codex32("events", "list", "--json").json == {"events": []}


def test_a_dry_run_names_who_listens_and_publishes_nothing(codex32, listening):
    command = ("events", "publish", "custom.order.paid", "--dry-run")
    told = codex32(*command, "--json").json
    assert told == {"bots": ["listens"], "executions": []}
    assert codex32(*command).out == "bot listens\n"
    nobody = codex32("events", "publish", "custom.other", "--dry-run")
    assert (nobody.code, nobody.out) == (0, "")
    assert "nobody listens to custom.other" in nobody.err
    assert codex32("events", "list", "--name", "custom.*", "--json").json == {"events": []}


def test_data_are_read_from_a_file_and_from_standard_input(codex32, project, monkeypatch):
    (project / "data.json").write_text('["a", "ä"]')
    assert codex32("events", "publish", "custom.a", "--data", "@data.json").code == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("3"))
    assert codex32("events", "publish", "custom.b", "--data", "@-").code == 0
    listed = codex32("events", "list", "--json").json["events"]
    assert {each["name"]: each["data"] for each in listed} == {
        "custom.a": ["a", "ä"],
        "custom.b": 3,
    }


def test_the_list_is_newest_first_cut_and_filtered(codex32):
    for name in ("custom.a.x", "custom.b.x", "custom.a.y"):
        codex32("events", "publish", name)

    def names(*options):
        listed = codex32("events", "list", *options, "--json").json["events"]
        return [each["name"] for each in listed]

    assert names() == ["custom.a.y", "custom.b.x", "custom.a.x"]
    assert names("--limit", "1") == ["custom.a.y"]
    assert names("--name", "custom.a.*") == ["custom.a.y", "custom.a.x"]
    assert "there are no events" in codex32("events", "list", "--name", "custom.c").err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("order.paid",), 2, "write custom. and then letters"),
        (("execution.failed",), 2, "told by the house itself"),
        (("custom.n", "--data", "{"), 2, "--data is no JSON"),
        (("custom.n", "--data", "word"), 2, "a text needs its quotes"),
        (("custom.n", "--data", "NaN"), 2, "NaN is no JSON number"),
        (("custom.n", "--data", "@bytes"), 2, "bytes is no UTF-8 text"),
        (("custom.n", "--data", '"' + "x" * 300_000 + '"'), 2, "longer than 256 KiB"),
        (("order.paid", "--dry-run"), 2, "write custom. and then letters"),
    ],
)
def test_what_cannot_be_published_is_refused(codex32, project, arguments, code, told):
    (project / "bytes").write_bytes(b"\xff")
    answer = codex32("events", "publish", *arguments, "--json")
    assert (answer.code, answer.out) == (code, "")
    assert told in answer.fault["message"]
    assert codex32("events", "list", "--json").json == {"events": []}


def test_a_file_that_is_not_there_is_named(codex32):
    answer = codex32("events", "publish", "custom.n", "--data", "@nowhere.json")
    assert answer.code != 0
    assert "nowhere.json" in answer.err
