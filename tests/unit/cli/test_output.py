from __future__ import annotations

import io
import json

import pytest

from codex32.cli.output import Output, clean


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_a_piped_table_is_plain_aligned_text() -> None:
    out = io.StringIO()
    Output(stdout=out).table(("bot", "status"), [("a", "failed"), ("longer", None)], "")
    assert out.getvalue() == "BOT     STATUS\na       failed\nlonger\n"


def test_an_empty_table_is_a_sentence_beside_the_result() -> None:
    out, err = io.StringIO(), io.StringIO()
    Output(stdout=out, stderr=err).table(("bot",), [], "there are none")
    assert (out.getvalue(), err.getvalue()) == ("", "there are none\n")


def test_statuses_are_coloured_on_a_terminal(terminal: Terminal) -> None:
    Output(stdout=terminal).table(("bot", "status"), [("a", "failed")], "")
    assert "\x1b[31mfailed" in terminal.getvalue()


def test_no_color_is_respected(terminal: Terminal, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    output = Output(stdout=terminal)
    output.table(("bot", "status"), [("a", "failed")], "")
    output.line("gone", "red")
    assert "\x1b[31m" not in terminal.getvalue()
    assert "failed" in terminal.getvalue()


def test_a_dumb_terminal_is_given_plain_text(terminal: Terminal, monkeypatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    Output(stdout=terminal).line("gone", "red")
    assert terminal.getvalue() == "gone\n"


def test_text_from_outside_cannot_speak_to_the_terminal(terminal: Terminal) -> None:
    output = Output(stdout=terminal)
    output.line("\x1b]0;title\x07 [bold]x[/bold] \u202eabc", "red")
    output.table(("a",), [("\x1b[2J",)], "")
    told = terminal.getvalue()
    assert "\x1b]0" not in told
    assert "\x1b[2J" not in told
    assert "[bold]x[/bold]" in told
    assert "\\x202eabc" in told


def test_lines_and_tabs_stay() -> None:
    assert clean("a\tb\nc\r\x9b") == "a\tb\nc\\x0d\\x9b"


def test_json_is_one_document_and_notes_are_left_out() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output(True, stdout=out, stderr=err)
    output.note("beside")
    output.result({"ä": [1]}, lambda: pytest.fail("text was printed"))
    assert json.loads(out.getvalue()) == {"ä": [1]}
    assert (out.getvalue().count("\n"), err.getvalue()) == (1, "")


def test_facts_are_aligned_and_empty_ones_left_out() -> None:
    out = io.StringIO()
    Output(stdout=out).facts([("a", 1), ("gone", None), ("long", "x\ny"), ("no", False)])
    assert out.getvalue() == "a     1\nlong  x\n      y\nno    no\n"
