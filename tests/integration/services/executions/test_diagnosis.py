from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from codex32.kernel.database import Door
from codex32.kernel.json_values import loads
from codex32.kernel.model_errors import FAULT_KINDS, FaultKind, ModelFault
from codex32.kernel.models import NO_ITEM, ExecutionRow, StepRow, VersionRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.subject import subject
from codex32.kernel.tracing import trace_of
from codex32.outside.traces.spans import Tracing
from codex32.services.executions.diagnosing import keep_diagnoses, told
from codex32.services.executions.diagnosis import (
    Diagnosis,
    diagnose,
    place,
    place_beneath,
    trouble_of,
)

TEXT = """\
name: other
type: set
with: {values: {}}
---
name: ping
steps:
  - id: fetch
    type: http
    with: {url: "https://example.com/"}
  - id: count
    type: python
    with:
      code: |
        # how many

        def main(page):
            return len(page["items"])
on_failure:
  - {id: tell, type: notify, with: {to: log, text: hm}}
"""


@pytest.fixture
def payloads(tmp_path: Path) -> PayloadStore:
    return PayloadStore(tmp_path)


@pytest.fixture
def look(
    door: Door, execution: Callable[..., str], payloads: PayloadStore, now: int
) -> Callable[..., Diagnosis | None]:
    """What is said of a failed execution of the bot with these steps, ``(id, item, error)``."""

    def make(*steps: tuple[str, int, dict[str, object]], **values: object) -> Diagnosis | None:
        given = {"status": "failed", "cause": "error", "finished_at": now, **values}

        def write() -> str:
            VersionRow.insert(
                id="ver_1", bot_id="bot_1", number=1, digest="d", document="{}", text=TEXT,
                origin="file", source="bots/ping.yaml", created_at=now,
            ).execute()  # fmt: skip
            written = execution(**given)
            for number, (step, item, error) in enumerate(steps):
                StepRow.insert(
                    execution_id=written, step=step, item=item, status="failed", tries=1,
                    effect="none", error=json.dumps(error), finished_at=now + number,
                ).execute()  # fmt: skip
            return written

        made = door.write_now(write)
        row = door.read_now(lambda: ExecutionRow.get_by_id(made))
        return door.read_now(diagnose, row, payloads)

    return make


def test_it_names_the_step_its_line_and_what_helps(look: Callable[..., Diagnosis]) -> None:
    error = {"message": "GET https://example.com/ answered 401", "code": "http-401"}
    found = look(("fetch", NO_ITEM, error), message=error["message"])
    assert (found.trouble, found.step, found.item) == ("credential", "fetch", None)
    assert "codex32 secrets list" in found.remedy
    assert place(found.as_dict()) == "bots/ping.yaml:7, step fetch"


def test_a_program_that_raises_is_found_at_its_own_line(look: Callable[..., Diagnosis]) -> None:
    traceback = (
        'Traceback (most recent call last):\n  File "<count>", line 4, in main\n'
        "    return len(page[\"items\"])\nKeyError: 'items'\n"
    )
    error = {"message": "KeyError: 'items'", "code": "raised", "detail": {"traceback": traceback}}
    found = look(("count", NO_ITEM, error), message="KeyError: 'items'")
    assert found.trouble == "code"
    assert TEXT.splitlines()[found.line - 1].strip() == 'return len(page["items"])'


def test_of_a_foreach_the_first_item_that_failed_is_named(
    look: Callable[..., Diagnosis],
) -> None:
    late = {"message": "no answer", "code": "http-timeout"}
    whole = {"message": "item 3: no answer", "code": "http-timeout"}
    found = look(
        ("fetch", 3, late), ("fetch", 5, late), ("fetch", NO_ITEM, whole), message=whole["message"]
    )
    assert (found.trouble, found.step, found.item) == ("timeout", "fetch", 3)


def test_a_failure_that_was_passed_over_is_not_the_culprit(look: Callable[..., Diagnosis]) -> None:
    passed = {"message": "passed over", "code": "http-500"}
    deadly = {"message": "there is no item 3", "code": "expression"}
    found = look(
        ("fetch", NO_ITEM, passed), ("count", NO_ITEM, deadly), message="there is no item 3"
    )
    assert (found.trouble, found.step) == ("expression", "count")


def test_a_whole_execution_can_fail_without_a_step(look: Callable[..., Diagnosis]) -> None:
    found = look(cause="timeout", message="the execution ran longer than its limit of 60 s")
    assert (found.trouble, found.step, found.line) == ("timeout", None, None)
    assert place(found.as_dict()) == "bots/ping.yaml"


def test_a_step_that_was_at_work_when_time_was_over_is_named(
    look: Callable[..., Diagnosis], door: Door, now: int, payloads: PayloadStore
) -> None:
    look(("fetch", NO_ITEM, {}), ("count", NO_ITEM, {}), cause="timeout", message="too long")
    cut = StepRow.update(status="cancelled", started_at=now, error=None)
    door.write_now(cut.where(StepRow.step == "count").execute)
    (row,) = door.read_now(lambda: list(ExecutionRow.select()))
    found = door.read_now(diagnose, row, payloads)
    assert (found.trouble, found.step, found.line) == ("timeout", "count", 10)


def test_a_bot_that_ended_itself_is_told_from_one_that_nobody_understands(
    look: Callable[..., Diagnosis], door: Door, payloads: PayloadStore
) -> None:
    look(("fetch", NO_ITEM, {}), ("count", NO_ITEM, {}), message="there is no stock")
    ends = '{"ended": {"status": "failed", "message": "there is no stock"}}'
    well = StepRow.update(status="succeeded", error=None, note=ends)
    door.write_now(well.where(StepRow.step == "count").execute)
    (row,) = door.read_now(lambda: list(ExecutionRow.select()))
    found = door.read_now(diagnose, row, payloads)
    assert (found.trouble, found.step, found.line) == ("ended", "count", 10)


def test_an_output_that_cannot_be_made_is_found_at_its_line(
    look: Callable[..., Diagnosis], door: Door, payloads: PayloadStore
) -> None:
    look(message="output: inputs.a: no such key")
    door.write_now(VersionRow.update(text=f'{TEXT}output: "${{{{ inputs.a }}}}"\n').execute)
    (row,) = door.read_now(lambda: list(ExecutionRow.select()))
    found = door.read_now(diagnose, row, payloads)
    assert (found.trouble, found.step) == ("expression", None)
    assert found.line == len(TEXT.splitlines()) + 1


def test_a_bot_that_was_executed_tells_what_it_suffered_from(
    look: Callable[..., Diagnosis],
    execution: Callable[..., str],
    door: Door,
) -> None:
    theirs = {"status": "failed", "cause": "timeout", "message": "too long", "bot_name": "slow"}
    child = door.write_now(lambda: execution(**theirs))
    error = {"message": "slow failed", "code": "error", "detail": {"execution": child}}
    found = look(("fetch", NO_ITEM, error), message="slow failed")
    assert (found.trouble, found.step) == ("timeout", "fetch")
    assert place_beneath(found.as_dict()) == f"bots/ping.yaml, in {child}"


def test_the_bot_where_it_began_is_named_however_far_down(
    look: Callable[..., Diagnosis], execution: Callable[..., str], door: Door
) -> None:
    def failed(bot: str, step: str, error: dict[str, object]) -> str:
        made = execution(
            status="failed", cause="error", message=error["message"], bot_name=bot,
            version_id="ver_1",
        )  # fmt: skip
        StepRow.insert(
            execution_id=made, step=step, item=NO_ITEM, status="failed", tries=1, effect="none",
            error=json.dumps(error), finished_at=1,
        ).execute()  # fmt: skip
        return made

    traceback = '  File "<count>", line 4, in main'
    raised = {"message": "KeyError", "code": "raised", "detail": {"traceback": traceback}}
    deepest = door.write_now(lambda: failed("ping", "count", raised))
    of_it = {"message": "ping failed", "code": "error", "detail": {"execution": deepest}}
    between = door.write_now(lambda: failed("between", "call", of_it))
    error = {"message": "it failed", "code": "error", "detail": {"execution": between}}
    found = look(("fetch", NO_ITEM, error), message="it failed")
    assert (found.trouble, found.line) == ("code", 7)
    assert place_beneath(found.as_dict()) == f"bots/ping.yaml:17, step count, in {deepest}"


LONG = """\
name: ping
steps:
  - id: fetch
    type: set
    if: "inputs.go == true"
    foreach: "${{ inputs.list }}"
    with:
      values:
        fine: 1
        deep:
          - "none"
          - "so ${{ item.name }} is ${{ inputs.far.away }}"
      state:
        text: |
          first
          second ${{ inputs.second }}
"""


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("inputs.go == true", 5),
        ("inputs.list", 6),
        ("inputs.far.away", 12),
        ("inputs.second", 16),
        ("inputs.of_another_version", 3),
    ],
)
def test_an_expression_is_found_at_its_own_line(
    look: Callable[..., Diagnosis],
    door: Door,
    payloads: PayloadStore,
    expression: str,
    line: int,
) -> None:
    message = f"inputs: no such key (in: {expression})"
    look(("fetch", NO_ITEM, {"message": message, "code": "expression"}), message=message)
    door.write_now(VersionRow.update(text=LONG).execute)
    (row,) = door.read_now(lambda: list(ExecutionRow.select()))
    found = door.read_now(diagnose, row, payloads)
    assert (found.trouble, found.step, found.line) == ("expression", "fetch", line)


@pytest.mark.parametrize(
    ("message", "trouble", "helps"),
    [
        ("MemoryError", "resources", "memory"),
        ("ModuleNotFoundError: No module named 'httpx'", "code", "requires"),
        ("urllib.error.HTTPError: HTTP Error 401: Unauthorized", "credential", "secret"),
        ("urllib.error.HTTPError: HTTP Error 429: Too Many Requests", "rate_limit", "rate"),
        ("requests.exceptions.HTTPError: 503 Server Error: for url: http://x", "network", "retry"),
        ("httpx.HTTPStatusError: Client error '404 Not Found' for url 'http://x'", "data", ""),
        (
            "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name "
            "resolution>",
            "capability",
            "allow.hosts",
        ),
        (
            "urllib.error.URLError: <urlopen error Tunnel connection failed: 403 Forbidden>",
            "capability",
            "allow.hosts",
        ),
        ("OSError: [Errno 30] Read-only file system: '/etc/x'", "capability", "allow.files"),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "capability", "allow.files"),
        ("PermissionError: [Errno 1] Operation not permitted", "capability", "allow.processes"),
        ("RuntimeError: can't start new thread", "capability", "allow.processes"),
        ("OSError: [Errno 28] No space left on device", "resources", "allow.disk"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/srv/data/a.csv'",
            "code",
            "allow.files",
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'a.csv'", "code", "mend the p"),
        ("TimeoutError: timed out", "timeout", "retry"),
        ("requests.exceptions.ReadTimeout: HTTPConnectionPool(host='x')", "timeout", "retry"),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "network", "retry"),
        (
            "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>",
            "network",
            "the program's own",
        ),
        ("json.decoder.JSONDecodeError: Expecting value: line 1", "data", "compare"),
        ("KeyError: 'items'", "code", "mend"),
        ("ValueError: timeout is not a number", "code", "mend"),
    ],
)
def test_what_a_program_raises_tells_what_is_no_fault_of_it(
    look: Callable[..., Diagnosis], message: str, trouble: str, helps: str
) -> None:
    error = {"message": message, "code": "raised"}
    found = look(("count", NO_ITEM, error), message=message)
    assert found.trouble == trouble
    assert helps in found.remedy


def test_too_little_memory_is_no_fault_of_the_program(look: Callable[..., Diagnosis]) -> None:
    error = {"message": "MemoryError", "code": "raised"}
    assert look(("count", NO_ITEM, error), message="MemoryError").trouble == "resources"


@pytest.mark.parametrize(
    ("ended", "trouble", "helps"),
    [
        ("the program ended with exit code 3 before it answered", "code", "left of itself"),
        ("the program was ended by SIGSEGV before it answered", "code", "compiled packages"),
        ("the program was ended by SIGKILL before it answered", "resources", "allow.memory"),
        ("the program used more processor time than it may", "resources", "allow.cpu"),
    ],
)
def test_how_a_program_ended_tells_whether_it_was_short_of_something(
    look: Callable[..., Diagnosis], ended: str, trouble: str, helps: str
) -> None:
    found = look(("count", NO_ITEM, {"message": ended, "code": "killed"}), message=ended)
    assert found.trouble == trouble
    assert helps in found.remedy


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_whatever_a_model_can_suffer_from_is_known(kind: FaultKind) -> None:
    assert trouble_of(ModelFault(kind, "no").fault_code, "error") != "unknown"


@pytest.mark.parametrize("status", ["succeeded", "cancelled", "skipped", "running"])
def test_what_did_not_fail_is_not_ill(look: Callable[..., Diagnosis | None], status: str) -> None:
    assert look(status=status, cause=None) is None


@pytest.mark.parametrize(
    ("code", "cause", "trouble"),
    [
        ("http-403", "error", "credential"),
        ("provider-unauthorized", "error", "credential"),
        ("secret-not-found", "capability", "credential"),
        ("http-429", "error", "rate_limit"),
        ("provider-rate-limited", "error", "rate_limit"),
        ("timeout", "timeout", "timeout"),
        ("http-504", "error", "timeout"),
        ("http-503", "error", "network"),
        ("http-unreachable", "error", "network"),
        ("http-cut", "effect", "network"),
        ("http-404", "error", "data"),
        ("http-not-json", "error", "data"),
        ("invalid-params", "error", "data"),
        ("inputs-invalid", "invalid", "data"),
        ("expression", "error", "expression"),
        ("capability", "capability", "capability"),
        ("budget", "budget", "budget"),
        ("model-auth", "error", "credential"),
        ("model-rate-limited", "error", "rate_limit"),
        ("model-quota", "error", "budget"),
        ("model-timeout", "error", "timeout"),
        ("model-network", "error", "network"),
        ("mcp-cut", "error", "network"),
        ("sql-cut", "error", "network"),
        ("sql", "error", "data"),
        ("connection", "error", "credential"),
        ("tool-refused", "error", "capability"),
        ("syntax", "error", "code"),
        ("not-json", "error", "code"),
        ("killed", "error", "resources"),
        (None, "lost", "resources"),
        ("approval-expired", "error", "decision"),
        ("bot-type-raised", "error", "plugin"),
        ("invalid-output", "error", "plugin"),
        ("something-of-a-stranger", "error", "unknown"),
        ("something-of-a-stranger", "budget", "budget"),
        (None, None, "unknown"),
    ],
)
def test_codes_and_causes_tell_the_trouble(
    code: str | None, cause: str | None, trouble: str
) -> None:
    assert trouble_of(code, cause) == trouble


def test_it_is_kept_and_says_the_same_for_ever(
    look: Callable[..., Diagnosis], door: Door, payloads: PayloadStore
) -> None:
    error = {"message": "no answer", "code": "http-timeout"}
    look(("fetch", NO_ITEM, error), message="no answer")
    (row,) = door.read_now(lambda: list(ExecutionRow.select()))
    before = door.read_now(told, row, payloads)

    assert asyncio.run(keep_diagnoses(door, payloads)) == 1
    assert asyncio.run(keep_diagnoses(door, payloads)) == 0

    door.write_now(StepRow.delete().execute)
    door.write_now(VersionRow.delete().execute)
    (row,) = door.read_now(lambda: list(ExecutionRow.select()))
    assert door.read_now(told, row, payloads) == before
    assert before["trouble"] == "timeout"


def test_a_failure_is_told_of_in_the_log_once_and_as_what_it_is(
    look: Callable[..., Diagnosis],
    door: Door,
    payloads: PayloadStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoken = []
    caplog.handler.addFilter(lambda record: bool(spoken.append(subject.get()) or True))
    look(
        ("fetch", NO_ITEM, {"message": "answered 503", "code": "http-503"}), message="answered 503"
    )
    for _ in range(2):
        told_of = Tracing([].append).of
        asyncio.run(keep_diagnoses(door, payloads, tell=True, trace=told_of))
    (line,) = (record.getMessage() for record in caplog.records)
    assert line == "ping failed: answered 503 (network, bots/ping.yaml:7, step fetch)"
    (about,) = spoken
    assert (about.workspace, about.bot) == ("default", "ping")
    assert about.execution.startswith("exe_")
    assert about.trace.trace == trace_of(about.execution).hex()
    assert subject.get().execution == ""


def test_damaged_records_of_one_keep_no_other_from_being_looked_at(
    look: Callable[..., Diagnosis],
    execution: Callable[..., str],
    door: Door,
    payloads: PayloadStore,
) -> None:
    error = {"message": "no answer", "code": "http-timeout"}
    look(("fetch", NO_ITEM, error), message="no answer")
    door.write_now(StepRow.update(error="@gone:1").execute)
    door.write_now(lambda: execution(status="failed", cause="timeout", message="too long"))
    assert asyncio.run(keep_diagnoses(door, payloads)) == 2
    kept = door.read_now(lambda: [loads(each.diagnosis) for each in ExecutionRow.select()])
    assert sorted(each["trouble"] for each in kept) == ["timeout", "unknown"]
