"""The tutorial, followed word by word."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-bot.md"
#: Not carried out here: it runs until somebody stops it, and has tests of its own.
ENDLESS = "codex32 up"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )


def carry_out(line: str, folder: Path) -> str:
    words = shlex.split(line)
    assert words[0] == "codex32"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    carry_out("codex32 init garden", tmp_path)
    return tmp_path / "garden"


def test_every_command_of_it_works(garden: Path) -> None:
    bot, trigger, step = blocks("yaml")
    path = garden / "bots" / "watering.yaml"
    path.write_text(bot, encoding="utf-8")
    told = {}
    for line in "".join(blocks("sh")).splitlines():
        if line not in ("codex32 init garden", "cd garden", ENDLESS):
            told[line] = carry_out(line, garden)
    expected = blocks("text")[0].splitlines()
    said = told["codex32 run hello"]
    assert all(line in said for line in expected), said
    assert "✓ tell" in told["codex32 run watering"]
    assert '"cactus"' in told["codex32 run watering --input limit=15"]
    assert "⊘ tell" in told["codex32 run watering --input limit=5"]

    # The later additions, where the tutorial says that they go.
    more = bot.replace("inputs:", trigger.partition("\n")[2] + "inputs:", 1)
    more = more.replace("  - id: tell", step.partition("\n")[2] + "  - id: tell")
    path.write_text(more, encoding="utf-8")
    carry_out("codex32 validate", garden)
    assert "✓ count" in carry_out("codex32 run watering", garden)
    assert "every 10s" in carry_out("codex32 why watering", garden)
