from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FAILING = """\
name: failing
steps:
  - {id: fine, type: set, with: {values: {a: 1}}}
  - id: bad
    type: set
    with: {values: {b: "${{ steps.fine.output.c }}"}}
"""


def test_a_bot_runs_with_nothing_else_running(codex32) -> None:
    answer = codex32("run", "hello", "--input", "who=Ada")
    assert answer.code == 0, answer.err
    assert "✓ greet" in answer.out
    assert "✓ hello succeeded" in answer.out
    assert answer.out.splitlines()[-1] == "hello Ada"
    assert "brought the database up to date" in answer.err


def test_json_holds_everything_and_nothing_else_is_printed(codex32) -> None:
    answer = codex32("run", "hello", "--json")
    assert answer.json["status"] == "succeeded"
    assert answer.json["output"] == "hello world"
    assert [step["step"] for step in answer.json["steps"]] == ["greet"]
    assert answer.err == ""


def test_a_file_runs_as_it_stands_there_without_becoming_live(codex32, project) -> None:
    assert codex32("run", "hello").code == 0
    elsewhere = project / "draft.yaml"
    elsewhere.write_text(
        (project / "bots" / "hello.yaml").read_text().replace("hello $", "draft $")
    )
    answer = codex32("run", "draft.yaml", "--json")
    assert (answer.json["output"], answer.json["version"]) == ("draft world", 2)
    assert codex32("run", "hello", "--json").json["output"] == "hello world"


def test_a_file_outside_every_folder_needs_no_registry(codex32, project) -> None:
    (project / "only.yaml").write_text("type: set\nwith: {values: {a: 1}}\n")
    assert codex32("run", "only.yaml").code == 0


def test_of_several_bots_in_a_file_one_is_named(codex32, project) -> None:
    one = "name: {0}\ntype: set\nwith: {{values: {{x: {0}}}}}\n"
    (project / "two.yaml").write_text(one.format("a") + "---\n" + one.format("b"))
    assert codex32("run", "two.yaml").code == 1
    assert codex32("run", "two.yaml", "--bot", "b", "--json").json["output"] == {"x": "b"}


def test_the_exit_code_tells_that_the_execution_failed(codex32, project) -> None:
    (project / "failing.yaml").write_text(FAILING)
    answer = codex32("run", "failing.yaml")
    assert answer.code == 1
    assert "✗ bad" in answer.out
    assert "steps.fine.output.c" in answer.out


def test_faults_of_a_file_are_told_with_their_places(codex32, project) -> None:
    (project / "broken.yaml").write_text("steps:\n  - {id: a, type: sett}\n")
    answer = codex32("run", "broken.yaml")
    assert answer.code == 1
    assert "broken.yaml:2:19: steps.0.type" in answer.err
    assert "did you mean 'set'" in answer.err


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["helo"], 3, "did you mean 'hello'"),
        (["nowhere.yaml"], 1, "nowhere.yaml"),
        (["hello", "--input", "wo=x"], 2, "did you mean 'who'"),
        (["hello", "--input", "who"], 2, "write name=value"),
        (["hello", "--inputs", "gone.yaml"], 3, "gone.yaml"),
    ],
)
def test_what_cannot_be_started_says_why(codex32, args: list[str], code: int, told: str) -> None:
    answer = codex32("run", *args)
    assert (answer.code, told in answer.err) == (code, True), answer.err
    assert "Traceback" not in answer.err


def test_inputs_come_from_a_file_and_single_ones_win(codex32, project: Path) -> None:
    (project / "in.yaml").write_text("who: file\n")
    assert codex32("run", "hello", "--inputs", "in.yaml", "--json").json["output"] == "hello file"
    both = codex32("run", "hello", "--inputs", "in.yaml", "--input", "who=flag", "--json")
    assert both.json["output"] == "hello flag"


def test_without_waiting_the_id_is_printed_and_the_execution_is_there(codex32) -> None:
    execution_id = codex32("run", "hello", "--no-wait").out.strip()
    shown: Any = codex32("executions", "show", execution_id, "--json").json
    assert (shown["id"], shown["status"]) == (execution_id, "queued")


def test_children_run_too(codex32, project: Path) -> None:
    (project / "bots" / "parent.yaml").write_text(
        "allow: {bots: [hello]}\ntype: bot\nwith: {name: hello, inputs: {who: child}}\n"
    )
    assert codex32("run", "parent", "--json").json["output"] == "hello child"
    listed = codex32("executions", "list", "--json").json["executions"]
    assert [each["status"] for each in listed] == ["succeeded", "succeeded"]


def test_others_executions_are_left_alone(codex32) -> None:
    other = codex32("run", "hello", "--no-wait").out.strip()
    assert codex32("run", "hello").code == 0
    assert codex32("executions", "show", other, "--json").json["status"] == "queued"


def test_the_same_commands_serve_both_databases(codex32, database_url: str, monkeypatch) -> None:
    monkeypatch.setenv("CODEX32_DATABASE_URL", database_url)
    execution = codex32("run", "hello", "--json").json
    assert execution["status"] == "succeeded"
    assert execution["id"] in codex32("executions", "list").out
    assert codex32("bots", "list", "--json").json["bots"][0]["name"] == "hello"
    assert codex32("db", "check").code == 0
    names = {each["name"]: each["state"] for each in codex32("doctor", "--json").json["checks"]}
    assert names["database"] == "ok"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: file.unlink(), "is gone"),
        (lambda file: file.write_text(file.read_text() + "\nenabled: false\n"), "enabled: false"),
    ],
)
def test_what_nothing_may_start_is_not_started_by_hand_either(
    codex32, project, change, told
) -> None:
    assert codex32("run", "hello").code == 0
    change(project / "bots" / "hello.yaml")
    answer = codex32("run", "hello")
    for _ in range(20):  # a file that just vanished is left alone for a moment
        if answer.code:
            break
        answer = codex32("run", "hello")
    assert answer.code == 3
    assert told in answer.err
