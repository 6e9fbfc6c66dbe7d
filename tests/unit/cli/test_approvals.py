"""``codex32 approvals`` in a project folder, without a server."""

import pytest

ASK = """\
steps:
  - id: ask
    type: approve
    with:
      text: "Deploy ${{ inputs.what }}?"
      to: [ops]
      form:
        build: {type: integer, minimum: 1}
        place: {type: string, default: "1"}
inputs: {what: {type: string, default: all}}
output: "${{ steps.ask.output }}"
"""


@pytest.fixture
def asked(codex32, project):
    """An execution that waits for somebody, and its approval."""
    (project / "bots" / "ask.yaml").write_text(ASK)
    codex32("run", "ask")
    (found,) = codex32("approvals", "list", "--json").json["approvals"]
    return found


def test_run_leaves_what_waits_for_a_person_and_says_how_to_answer(codex32, asked):
    told = codex32("run", "ask")
    assert told.code == 5
    assert "codex32 approvals approve|reject apr_" in told.out


def test_the_list_shows_what_waits_for_somebody(codex32, asked):
    told = codex32("approvals", "list")
    assert (told.code, "Deploy all?" in told.out, asked["id"] in told.out) == (0, True, True)
    assert (asked["status"], asked["step"], asked["to"]) == ("pending", "ask", ["ops"])
    assert codex32("approvals", "list", "--bot", "other", "--json").json == {"approvals": []}
    found = codex32("approvals", "list", "--execution", asked["execution"][:-3], "--json").json
    assert [each["id"] for each in found["approvals"]] == [asked["id"]]
    assert "nothing waits" in codex32("approvals", "list", "--bot", "other").err
    assert codex32("approvals", "list", "--status", "decided", "--json").json["approvals"] == []


def test_show_tells_the_form_and_the_command_that_answers(codex32, asked):
    told = codex32("approvals", "show", asked["id"][:-4]).out
    assert "Deploy all?" in told
    assert f"codex32 approvals approve {asked['id']} --field build=…" in told
    assert "(needed to approve)" in told


def test_executions_show_and_why_tell_of_it(codex32, asked):
    shown = codex32("executions", "show", asked["execution"])
    assert f"answer: codex32 approvals approve|reject {asked['id']}" in shown.out
    data = codex32("executions", "show", asked["execution"], "--json").json
    assert [each["id"] for each in data["approvals"]] == [asked["id"]]
    assert "approvals that wait for a person: 1" in codex32("why", "ask").out


def test_values_are_read_as_the_form_declares_them(codex32, asked):
    told = codex32(
        "approvals", "approve", asked["execution"], "--field", "build=7", "--field", "place=2",
        "--by", "anna", "--note", "go", "--json",
    )  # fmt: skip
    assert told.code == 0
    assert told.json["answer"] == {"build": 7, "place": "2"}
    assert (told.json["by"], told.json["note"], told.json["status"]) == ("anna", "go", "approved")


def test_who_is_logged_in_decides_where_nobody_else_is_named(codex32, asked, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "carla")
    told = codex32("approvals", "reject", asked["id"])
    assert told.out == f"{asked['id']} rejected by carla; {asked['execution']} goes on\n"


def test_deciding_twice_says_who_was_quicker_and_changes_nothing(codex32, asked):
    codex32("approvals", "reject", asked["id"], "--by", "anna")
    told = codex32("approvals", "approve", asked["id"], "--by", "bert", "--json")
    assert (told.code, told.fault["code"]) == (3, "approval-settled")
    assert "anna rejected it at" in told.fault["message"]


def test_all_faults_of_what_was_filled_in_are_told_at_once(codex32, asked):
    told = codex32(
        "approvals", "approve", asked["id"], "--field", "build=0", "--field", "plaze=x", "--json"
    )
    assert (told.code, told.fault["code"]) == (2, "form-invalid")
    assert sorted(each["path"] for each in told.fault["problems"]) == ["build", "plaze"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("show", "apr_nothing"), "no approval has the id"),
        (("show", "apr_"), "write more of the id"),
        (("approve", "exe_nothing"), "no approval has the id"),
    ],
)
def test_an_id_that_means_none_or_several_is_refused(codex32, asked, command, told):
    codex32("run", "ask")
    answer = codex32("approvals", *command, "--json")
    assert answer.code == 3
    assert told in answer.fault["message"]


def test_a_field_without_a_value_is_a_fault_of_the_command_line(codex32, asked):
    answer = codex32("approvals", "approve", asked["id"], "--field", "build")
    assert answer.code == 2
    assert "--field build: write name=value" in answer.err
