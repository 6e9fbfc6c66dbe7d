"""``codex32 test --watch``: what an editor saves is tested, however it saves."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from codex32_houses import CODEX32, until

BOT = """\
type: set
with: {{values: {{n: {n}}}}}
tests:
  - {{name: is one, expect: {{output: {{n: 1}}}}}}
"""


def save(path: Path, n: int) -> None:
    """As editors do that put another file in the place of the one that was."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix="~", delete=False) as file:
        file.write(BOT.format(n=n))
    os.replace(file.name, path)


@pytest.mark.parametrize("of", ["folder", "file"])
def test_what_is_saved_is_tested_until_it_is_stopped(tmp_path: Path, of: str) -> None:
    bots = tmp_path / "bots"
    bots.mkdir()
    path = bots / "counts.yaml"
    save(path, 1)
    gone = "no tests were found" if of == "folder" else "is not there"
    said = tmp_path / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*CODEX32, "test", str(bots if of == "folder" else path), "--watch"],
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )

    def told(what: str, count: int) -> bool:
        assert process.poll() is None, said.read_text()
        return said.read_text().count(what) >= count

    try:
        until(lambda: told("all passed", 1), "the first round")
        save(path, 2)  # at once, and once: it was watching before the first round
        until(lambda: told("1 failed", 1), "a fault is seen")
        save(path, 1)
        until(lambda: told("all passed", 2), "it is mended")
        beside = bots / "test_counts.py"
        beside.write_bytes(b"\xff\xfe")
        until(lambda: told("cannot be read", 1), "a file that is none of text is told")
        beside.unlink()
        until(lambda: told("all passed", 3), "and goes")
        path.unlink()
        until(lambda: told(gone, 1), "the bot is gone")
        save(path, 1)
        until(lambda: told("all passed", 4), "and is back")
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    assert code >= 0, said.read_text()  # it ended by itself, in the middle of a round or not
    assert "Traceback" not in said.read_text()
