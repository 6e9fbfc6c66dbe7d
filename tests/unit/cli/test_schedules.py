"""``schedules backfill`` at the command line."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest

EVERY = """\
name: every
triggers: [{every: 1m, overlap: allow}]
type: set
with: {values: {n: 1}}
"""
END = datetime.now().replace(second=0, microsecond=0) - timedelta(minutes=5)
SPAN = ("--to", END.isoformat())


def since(minutes: int) -> tuple[str, ...]:
    return ("--from", (END - timedelta(minutes=minutes)).isoformat(), *SPAN)


@pytest.fixture(autouse=True)
def every(codex32, project: Path) -> None:
    (project / "bots" / "every.yaml").write_text(EVERY)
    assert codex32("run", "every", "--no-wait").code == 0


def test_what_is_missing_is_counted_and_then_made_once(codex32) -> None:
    command = ("schedules", "backfill", "every", *since(9))
    assert "10 of 10 times and events are missing" in codex32(*command, "--dry-run").out
    told = codex32(*command, "--json").json
    assert (told["made"], told["left"], len(told["executions"])) == (10, 0, 10)
    shown = codex32("executions", "show", told["executions"][0], "--json").json
    assert shown["status"] == "queued"
    assert "0 of 10 times and events are missing" in codex32(*command).out
    assert codex32("why", "every", "--limit", "50").out.count("made up for by a backfill") == 10


def test_a_bot_of_another_workspace_is_not_meant(codex32) -> None:
    command = ("schedules", "backfill", "every", *since(9), "--workspace", "elsewhere")
    assert codex32(*command, "--json").fault["code"] == "bot-not-found"


def test_events_that_were_there_before_the_bot_are_answered_in_their_order(
    codex32, project: Path
) -> None:
    for n in range(3):
        codex32("events", "publish", "custom.paid", "--data", str(n))
    with sqlite3.connect(project / ".codex32" / "codex32.db") as database:  # as a scheduler does
        database.execute("UPDATE event SET delivered_at = at")
    late = EVERY.replace("name: every", "name: late").replace("every: 1m", "event: custom.paid")
    (project / "bots" / "late.yaml").write_text(late)
    assert codex32("run", "late", "--no-wait").code == 0
    told = codex32("schedules", "backfill", "late", "--from", END.isoformat(), "--json").json
    assert (told["missing"], told["decisions"]) == (3, {"fired": 3})


def test_a_limit_leaves_the_rest_for_another_time(codex32) -> None:
    answer = codex32("schedules", "backfill", "every", *since(9), "--limit", "4")
    assert "4 executions were made" in answer.out
    assert "6 more are left" in answer.err


def test_very_many_must_be_meant(codex32) -> None:
    command = ("schedules", "backfill", "every", *since(1500))
    refused = codex32(*command, "--json")
    assert (refused.code, refused.fault["code"]) == (3, "too-many")
    assert "1501 are missing; say --yes" in refused.fault["message"]
    assert codex32(*command, "--dry-run", "--json").json["missing"] == 1501
    assert codex32(*command, "--yes", "--json").json["made"] == 1501


def test_what_makes_no_sense_is_refused(codex32) -> None:
    later = codex32(
        "schedules", "backfill", "every", *since(1)[:2], "--to", "2100-01-01", "--json"
    )
    assert (later.code, later.fault["code"]) == (3, "backfill-refused")
    assert codex32("schedules", "backfill", "evry", *since(1)).code == 3
    assert codex32("schedules", "backfill", "every", "--from", "yesterday").code == 2
    other = codex32("schedules", "backfill", "every", *since(1), "--trigger", "cron")
    assert "1 (every 1m)" in other.err
