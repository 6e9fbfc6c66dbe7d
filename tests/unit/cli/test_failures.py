from __future__ import annotations

import inspect
import json
import logging
import re
from pathlib import Path

import pytest

from codex32.cli import ecs, failures
from codex32.kernel import errors
from codex32.kernel.problems import Problem

ROOT = Path(__file__).parents[3]


def test_an_unknown_fault_is_named_without_a_traceback_unless_asked(capsys) -> None:
    with pytest.raises(RuntimeError) as odd:
        raise RuntimeError("odd")
    assert failures.report(odd.value, as_json=False, debug=False) == failures.BUG
    told = capsys.readouterr().err
    assert "RuntimeError: odd" in told
    assert "Traceback" not in told
    failures.report(odd.value, as_json=False, debug=True)
    assert "Traceback" in capsys.readouterr().err


def test_a_service_that_cannot_go_on_says_so_in_the_form_of_the_log(capsys) -> None:
    spoken = logging.NullHandler()
    spoken.setFormatter(ecs.PlainForm())
    logging.getLogger().addHandler(spoken)
    try:
        invalid = errors.BotInvalid("it has faults:", [Problem("no such key", "steps.0.wth")])
        assert failures.report(invalid, as_json=False, debug=False) == failures.FAILED
        failures.report(RuntimeError("Bearer abcdefgh1234"), as_json=False, debug=False)
    finally:
        logging.getLogger().removeHandler(spoken)
    known, unknown = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert known["message"] == "it has faults:\nsteps.0.wth: no such key"
    assert (known["log.level"], known["error.code"]) == ("error", "bot-invalid")
    assert (unknown["error.code"], unknown["error.type"]) == ("internal", "RuntimeError")
    assert "abcdefgh" not in str(unknown)


def test_exit_codes_are_given_to_codes_that_exist() -> None:
    known = {
        each.code
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.Codex32Error)
    }
    outside = {"migration-changed", "redis-not-running", "database", "settings", "usage"}
    # Of single parts, which the command line need not import to know their codes.
    outside |= {"key-missing", "key-ring-invalid", "audit-broken"}
    outside |= {"connection-invalid", "secret-invalid"}
    assert set(failures._BY_CODE) - known - outside == {"internal"}


def test_the_reference_lists_every_exit_code() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert listed == {value for value in vars(failures).values() if type(value) is int}
