from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex32.cli.main import COMMANDS


def test_the_version_is_told(codex32) -> None:
    assert codex32("--version").out.startswith("codex32 ")


def test_help_lists_the_house_s_commands_and_those_of_plugins(codex32) -> None:
    listed = codex32("--help").out
    for name in (*COMMANDS, "serve", "worker", "scheduler"):
        assert f"\n  {name} " in listed


def test_help_helps_where_the_settings_are_wrong(codex32, project: Path) -> None:
    (project / "codex32.yaml").write_text("nonsense: 1\n")
    answer = codex32("--help")
    assert (answer.code, "\n  run " in answer.out) == (0, True)
    assert "nonsense" in answer.err


def test_a_misspelt_command_is_answered_with_the_right_one(codex32) -> None:
    answer = codex32("valdate")
    assert answer.code == 2
    assert "did you mean 'validate'" in answer.err


@pytest.mark.parametrize("place", ["before", "behind"])
def test_errors_are_json_where_results_are(codex32, place: str) -> None:
    args = ["--json", "bots", "show"] if place == "before" else ["bots", "show", "--json"]
    codex32("db", "upgrade")
    answer = codex32(*args, "nobody")
    assert (answer.code, answer.out) == (3, "")
    assert answer.fault["code"] == "bot-not-found"
    assert answer.fault["problems"] == []


def test_a_usage_error_is_json_too(codex32) -> None:
    assert codex32("executions", "list", "--limit", "0", "--json").fault["code"] == "usage"


def test_faults_of_settings_name_their_place(codex32, project: Path) -> None:
    (project / "codex32.yaml").write_text("worker:\n  proceses: 3\n")
    answer = codex32("config", "show")
    assert answer.code == 4
    assert "codex32.yaml:2" in answer.err
    assert "processes" in answer.err


def test_a_database_out_of_reach_is_one_clear_line(codex32, monkeypatch) -> None:
    monkeypatch.setenv("CODEX32_DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/none")
    answer = codex32("bots", "list")
    assert answer.code == 4
    assert "the database cannot be used" in answer.err
    assert "secret" not in answer.err
    assert "Traceback" not in answer.err


def test_a_database_without_tables_says_the_remedy(codex32) -> None:
    answer = codex32("executions", "list")
    assert answer.code == 4
    assert "codex32 db upgrade" in answer.err


def test_the_database_is_brought_up_to_date_once(codex32) -> None:
    assert codex32("db", "status").code == 1
    assert codex32("db", "upgrade", "--json").json["applied"]
    assert codex32("db", "upgrade", "--json").json["applied"] == []
    assert codex32("db", "status").code == 0
    assert codex32("db", "check", "--json").json == {"problems": []}


def test_settings_are_shown_with_their_place_and_secrets_are_not(codex32, monkeypatch) -> None:
    monkeypatch.setenv("CODEX32_API__TOKEN", "very-secret")
    shown = codex32("config", "show", "--json").json["settings"]
    assert shown["api.token"]["from"] == "CODEX32_API__TOKEN"
    assert "very-secret" not in json.dumps(shown)
    assert shown["worker.processes"]["from"] == "default"
    assert "did you mean" in codex32("config", "show", "worker.proceses").err


def test_plugins_are_listed_with_what_they_offer(codex32) -> None:
    found = {each["name"]: each for each in codex32("plugins", "--json").json["plugins"]}
    assert "http" in found["builtin"]["offers"]["bot_types"]
    assert found["builtin"]["distribution"] == "codex32"
    assert "builtin" in codex32("plugins").out


def test_a_new_project_runs_at_once_and_is_never_overwritten(codex32, project: Path) -> None:
    assert codex32("init", "fresh").code == 0
    folder = project / "fresh"
    assert codex32("--folder", str(folder), "validate").code == 0
    assert codex32("--folder", str(folder), "run", "hello").out.endswith("Hello, world!\n")
    schema = json.loads((folder / ".codex32" / "bot.schema.json").read_text())
    assert "set" in json.dumps(schema)
    (folder / "bots" / "hello.yaml").write_text("mine")
    again = codex32("init", "fresh")
    assert (again.code, "hello.yaml" in again.err or "codex32.yaml" in again.err) == (3, True)
    assert (folder / "bots" / "hello.yaml").read_text() == "mine"


def test_validate_tells_every_fault_of_every_file(codex32, project: Path) -> None:
    assert codex32("validate").code == 0
    (project / "bots" / "a.yaml").write_text("steps: [{id: x, type: sett}]\nlables: {}\n")
    (project / "bots" / "copy.yaml").write_text((project / "bots" / "hello.yaml").read_text())
    answer = codex32("validate")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["bots/a.yaml"] * 2 + ["bots/hello.yaml"]
    assert "already holds a bot called 'hello'" in lines[2]
    found = codex32("validate", "--json", "bots/a.yaml").json["problems"]
    assert {each["file"] for each in found} == {"bots/a.yaml"}
    assert all(each["line"] for each in found)


def test_validate_of_a_folder_that_is_not_there_says_so(codex32, project: Path) -> None:
    (project / "codex32.yaml").write_text("bots: {folders: [nowhere]}\n")
    answer = codex32("validate")
    assert (answer.code, "nowhere is not there" in answer.err) == (3, True)


def test_fmt_checks_shows_and_writes(codex32, project: Path) -> None:
    path = project / "bots" / "odd.yaml"
    odd = "type:   set   # what\nname: odd\nwith: {values: {a: 1}}\n"
    path.write_text(odd)
    assert codex32("fmt", "--check").code == 1
    shown = codex32("fmt", "--diff").out
    assert "+type: set  # what" in shown or "-type:   set   # what" in shown
    assert path.read_text() == odd
    assert codex32("fmt").code == 0
    assert path.read_text().startswith("name: odd\n")
    assert codex32("fmt", "--check").code == 0


def test_the_schema_goes_where_it_is_wanted(codex32, project: Path) -> None:
    printed = codex32("schema").out
    codex32("schema", "-o", "out/bot.json")
    assert (project / "out" / "bot.json").read_text() == printed
    assert json.loads(printed)["title"] == "Codex-32 bot"


def test_doctor_names_what_is_missing_and_its_remedy(codex32) -> None:
    before = codex32("doctor")
    assert before.code == 1
    assert "codex32 db upgrade" in before.out
    codex32("db", "upgrade")
    after = codex32("doctor", "--json")
    states = {each["name"]: each["state"] for each in after.json["checks"]}
    assert after.code == 0
    assert states["database"] == "ok"
    # What a machine permits is another matter; tests/integration/sandbox tries it.
    assert states["sandbox"] in ("ok", "warn")


def test_doctor_names_what_only_words_can_be_found_with(codex32, monkeypatch) -> None:
    codex32("db", "upgrade")

    def told(**settings: str) -> list[dict[str, str]]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        checks = codex32("doctor", "--json").json["checks"]
        return [each for each in checks if each["name"] == "collections"]

    assert [each["state"] for each in told()] == ["ok"]
    warned, _ = told(CODEX32_RETRIEVAL__EMBEDDER="hash")
    assert warned["state"] == "warn"
    assert "knows words and not what they mean" in warned["detail"]
    missing, _ = told(CODEX32_RETRIEVAL__EMBEDDER="gone")
    assert "gone is not installed" in missing["detail"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_completion(codex32, shell: str) -> None:
    assert "_CODEX32_COMPLETE" in codex32("completion", shell).out


def test_completion_knows_the_commands(codex32, monkeypatch) -> None:
    monkeypatch.setenv("_CODEX32_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "codex32 va")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert codex32().out.strip() == "plain,validate"
