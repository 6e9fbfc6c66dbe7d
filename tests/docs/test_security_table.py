"""Each class of flaw has tests that own it: the table of the page on security names them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text()
ROW = re.compile(r"^\| A(\d+) \| .+ \| (.+) \|$", re.MULTILINE)


def test_every_class_of_flaw_stands_in_the_table_once():
    assert [int(number) for number, _ in ROW.findall(PAGE)] == list(range(1, 27))


def test_every_test_that_the_table_names_is_there():
    missing = []
    for number, told in ROW.findall(PAGE):
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", told)
        assert named, f"A{number} names no test"
        for path, name in named:
            text = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
            if not re.search(rf"^(async )?def {name}\(", text, re.MULTILINE):
                missing.append(f"A{number}: {path}::{name}")
    assert missing == []
