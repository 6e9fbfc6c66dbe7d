"""``executions retry`` and ``dead-letters``, on executions that fail for real."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

BREAKS = """\
name: breaks
inputs: {n: {type: integer, default: 0}}
steps:
  - {id: first, type: set, with: {values: {n: "${{ inputs.n }}"}}}
  - {id: second, type: set, with: {values: {n: "${{ 10 / inputs.n }}"}}}
output: "${{ steps.second.output.n }}"
"""
MENDED = BREAKS.replace("10 / inputs.n", "10 / (inputs.n + 1)")


@pytest.fixture
def broken(codex32, project: Path) -> list[str]:
    """Ids of three executions that failed."""
    (project / "bots" / "breaks.yaml").write_text(BREAKS)
    return [codex32("run", "breaks", "--json").json["id"] for _ in range(3)]


@pytest.fixture
def mended(codex32, broken: list[str], project: Path) -> None:
    (project / "bots" / "breaks.yaml").write_text(MENDED)
    assert codex32("run", "breaks").code == 0


def letters(codex32) -> list[str]:
    return [each["id"] for each in codex32("dead-letters", "list", "--json").json["dead_letters"]]


def test_a_retry_tells_what_it_keeps_and_both_executions_name_each_other(codex32, broken) -> None:
    answer = codex32("executions", "retry", broken[0][:-3])
    assert answer.code == 0
    assert f"retries {broken[0]} from failed, keeping first" in answer.out
    retry_id = answer.out.split()[0]
    facts = codex32("executions", "show", retry_id).out.splitlines()
    assert ["retry", "of", broken[0]] in [line.split() for line in facts]
    facts = codex32("executions", "show", broken[0]).out.splitlines()
    assert ["retried", "by", retry_id] in [line.split() for line in facts]
    again = codex32("executions", "retry", broken[0])
    assert "is there already; --again makes another" in again.out
    assert retry_id in again.err


@pytest.mark.usefixtures("mended")
def test_a_mended_bot_is_retried_in_bulk_and_the_list_is_empty(codex32, broken) -> None:
    assert letters(codex32) == broken[::-1]
    more = ("--definition", "current", "--yes", "--json")
    told = codex32("dead-letters", "retry", "--bot", "breaks", *more).json
    assert sorted(each["retry_of"] for each in told["retried"]) == sorted(broken)
    assert {each["version"] for each in told["retried"]} == {2}
    assert letters(codex32) == []
    assert "no failure waits" in codex32("dead-letters", "list").err


def test_a_dry_run_changes_nothing(codex32, broken) -> None:
    told = codex32("executions", "retry", "--bot", "breaks", "--cause", "error", "--dry-run").out
    assert told.count("would be retried from failed, keeping first") == 3
    assert letters(codex32) == broken[::-1]
    listed = codex32("executions", "list", "--json").json["executions"]
    assert len(listed) == 3


def test_in_bulk_one_is_asked_first(codex32, broken, monkeypatch) -> None:
    assert codex32("executions", "retry", "--status", "failed", "--json").code == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert codex32("executions", "retry", "--status", "failed").code == 130
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert codex32("executions", "retry", "--status", "failed").code == 0
    assert letters(codex32) == []


def test_what_cannot_be_retried_is_told_with_its_reason(codex32, broken) -> None:
    unknown = codex32("executions", "retry", broken[0], "--from", "secnd", "--json")
    assert unknown.code == 3
    (refused,) = unknown.json["refused"]
    assert (refused["id"], refused["code"]) == (broken[0], "step-not-found")
    assert "did you mean 'second'" in refused["message"]
    assert codex32("executions", "retry").code == 2
    assert codex32("executions", "retry", broken[0], "--bot", "breaks").code == 2


def test_dismissing_leaves_a_note(codex32, broken) -> None:
    assert codex32("dead-letters", "dismiss", broken[0], "--note", "test data").code == 0
    shown = codex32("dead-letters", "show", broken[0])
    assert ": test data" in shown.out
    assert codex32("dead-letters", "dismiss", "--all", "--dry-run").out.count("would be") == 2
    assert codex32("dead-letters", "dismiss", "--all", "--json").code == 2
    told = codex32("dead-letters", "dismiss", "--all", "--yes", "--json").json
    assert told["dismissed"] == broken[:0:-1]
    assert letters(codex32) == []


def test_the_list_is_cut_and_says_so(codex32, broken) -> None:
    short = codex32("dead-letters", "list", "--limit", "2")
    assert (short.out.count("breaks"), "2 of 3" in short.err) == (2, True)
    everything = codex32("dead-letters", "list", "--limit", "1", "--all")
    assert everything.out.count("breaks") == 3
    assert codex32("dead-letters", "list", "--cause", "lost", "--json").json["count"] == 0


def test_effects_are_sent_again_only_where_that_is_meant(
    codex32, project: Path, monkeypatch
) -> None:
    from codex32.builtin.bot_types.set import SetBotType
    from codex32.kernel.outcomes import Effect

    monkeypatch.setattr(SetBotType, "effect", lambda self, params: Effect.ONCE)
    (project / "bots" / "breaks.yaml").write_text(BREAKS)
    failed = codex32("run", "breaks", "--json").json["id"]

    refused = codex32("executions", "retry", failed, "--from", "start", "--json")
    assert (refused.code, refused.json["refused"][0]["code"]) == (3, "effects-repeated")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    asked = codex32("executions", "retry", failed, "--from", "start")
    assert (asked.code, "has sent effects: first" in asked.err) == (130, True)
    meant = codex32("executions", "retry", failed, "--from", "start", "--yes")
    assert "sending first again" in meant.out
