from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from codex32.cli import failures
from codex32.kernel import errors

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
