from __future__ import annotations

import io
from pathlib import Path

import pytest


@pytest.fixture
def ran(codex32) -> str:
    """The id of a finished execution of ``hello``."""
    return codex32("run", "hello", "--input", "who=Ada", "--json").json["id"]


@pytest.fixture
def changed(codex32, ran: str, project: Path) -> None:
    """A second version of ``hello``."""
    path = project / "bots" / "hello.yaml"
    path.write_text(path.read_text().replace("hello $", "goodbye $"))
    codex32("run", "hello")


def test_bots_are_listed_and_shown(codex32, ran) -> None:
    listed = codex32("bots", "list").out
    assert "hello" in listed
    assert "succeeded" in listed
    shown = codex32("bots", "show", "hello", "--json").json
    assert (shown["status"], shown["version"]) == ("active", 1)
    assert shown["definition"]["steps"][0]["id"] == "greet"
    assert "steps:" in codex32("bots", "show", "hello").out


def test_a_paused_bot_says_so_until_it_is_resumed(codex32, ran) -> None:
    codex32("bots", "pause", "hello")
    assert codex32("bots", "list", "--json").json["bots"][0]["status"] == "paused"
    assert "paused" in codex32("why", "hello").out
    codex32("bots", "resume", "hello")
    assert codex32("bots", "list", "--json").json["bots"][0]["status"] == "active"


@pytest.mark.usefixtures("changed")
def test_versions_are_compared_and_older_ones_come_back(codex32) -> None:
    versions = codex32("bots", "history", "hello", "--json").json["versions"]
    assert [(v["number"], v["standing"]) for v in versions] == [(2, "live"), (1, "past")]
    told = codex32("bots", "diff", "hello").out
    assert "steps.greet.with.values.text: hello" in told
    assert codex32("bots", "rollback", "hello", "1").code == 0
    assert codex32("run", "hello", "--json").json["output"] == "hello world"
    gone = codex32("bots", "rollback", "hello", "9")
    assert (gone.code, "1 to 2" in gone.err) == (3, True)


def test_an_execution_is_found_by_the_beginning_of_its_id(codex32, ran) -> None:
    shown = codex32("executions", "show", ran[:-4])
    assert ran in shown.out
    assert "✓ greet" in shown.out
    assert codex32("executions", "show", "exe_nothing").code == 3


def test_logs_are_lines_of_json(codex32, project: Path) -> None:
    (project / "say.yaml").write_text('type: notify\nwith: {to: log, text: "a\\e[31mb"}\n')
    execution_id = codex32("run", "say.yaml", "--json").json["id"]
    assert "\x1b[31m" in codex32("executions", "logs", execution_id, "--json").json["message"]
    assert "a\\x1b[31mb" in codex32("executions", "logs", "-f", execution_id).out


@pytest.mark.usefixtures("changed")
def test_a_retry_runs_on_the_original_definition_or_the_present_one(codex32, ran) -> None:
    for choice, output in (("original", 1), ("current", 2)):
        more = ("--definition", choice, "--again", "--json")
        (again,) = codex32("executions", "retry", ran, *more).json["retried"]
        shown = codex32("executions", "show", again["id"], "--json").json
        assert (shown["version"], shown["inputs"]) == (output, {"who": "Ada"})
        assert again["retry_of"] == ran


def test_several_executions_are_cancelled_by_id(codex32, ran) -> None:
    ids = [codex32("run", "hello", "--no-wait").out.strip() for _ in range(2)]
    answer = codex32("executions", "cancel", *ids, "--json")
    assert [each["status"] for each in answer.json["cancelled"]] == ["cancelled"] * 2
    late = codex32("executions", "cancel", ran)
    assert (late.code, "is succeeded" in late.err) == (3, True)


def test_cancelling_in_bulk_asks_first(codex32, monkeypatch) -> None:
    for _ in range(3):
        codex32("run", "hello", "--no-wait")
    assert codex32("executions", "cancel", "--bot", "hello", "--json").code == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert codex32("executions", "cancel", "--bot", "hello").code == 130
    answer = codex32("executions", "cancel", "--bot", "hello", "--yes", "--json")
    assert len(answer.json["cancelled"]) == 3
    assert codex32("executions", "cancel").code == 2


def test_lists_are_filtered_and_paged(codex32) -> None:
    ids = [codex32("run", "hello", "--no-wait").out.strip() for _ in range(3)]
    codex32("executions", "cancel", ids[0])
    listed = codex32("executions", "list", "--status", "queued", "--limit", "1", "--json").json
    assert [each["id"] for each in listed["executions"]] == [ids[2]]
    page = codex32("executions", "list", "--before", ids[2], "--json").json["executions"]
    assert [each["id"] for each in page] == [ids[1], ids[0]]


def test_why_tells_what_stands_in_the_way(codex32, ran) -> None:
    assert "no triggers" in codex32("why", "hello").out
    assert codex32("why", "hello", "--at", "08:00", "--json").json["occurrences"] == []
    assert codex32("why", "hello", "--at", "8 o'clock").code == 2


def test_a_former_installation_is_told_first_and_taken_over_then(codex32, project: Path) -> None:
    former = project / "former"
    (former / "bots" / "old").mkdir(parents=True)
    (former / "bots" / "old" / "bot.py").write_text("def main():\n    return 42\n")
    registry = '{"bots": {"old": {"owner": "grace"}, "gone": {}}}'
    (former / "codex32_registry.json").write_text(registry)
    codex32("db", "upgrade")
    told = codex32("import", "registry", "former")
    assert (told.code, "missing: bots/gone/bot.py" in told.out) == (1, True)
    assert codex32("bots", "list", "--json").json["bots"] == []
    done = codex32("import", "registry", "former", "--apply", "--json")
    assert (done.code, done.json["counts"]["taken"], done.json["differing"]) == (1, 1, [])
    assert codex32("bots", "show", "old", "--json").json["status"] == "paused"
    assert codex32("run", "old", "--json").json["output"] == 42
    again = codex32("import", "registry", "former", "--apply")
    assert "1 there, 0 changed, 1 refused" in again.out
    assert codex32("import", "registry", ".").code == 3
