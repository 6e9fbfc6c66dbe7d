"""The matrix of what reached people tells of every personality, and of as many descriptions."""

import re
from pathlib import Path

from codex32_descriptions import corpus

from codex32_testing.model_server.builders import PERSONALITIES

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "builder.md"


def test_every_personality_has_its_row_and_no_other_has():
    text = PAGE.read_text(encoding="utf-8").partition("## What reached the person")[2]
    table = text.partition("| the model |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(PERSONALITIES)


def test_the_page_counts_the_descriptions_that_are_shipped():
    text = PAGE.read_text(encoding="utf-8")
    assert len(corpus()) >= 30
    assert set(re.findall(r"\b(\d+) descriptions", text)) == {str(len(corpus()))}
    assert f"| competent | {len(corpus())} of {len(corpus())} bots, proved |" in text


def test_it_is_said_that_real_models_were_not_measured():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "**How good the bots of real models are was not measured**" in text
    assert "`codex32 build eval`" in text
