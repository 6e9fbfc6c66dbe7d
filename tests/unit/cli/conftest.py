from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codex32.cli.main import run
from codex32_testing.model_server import ModelServer

HELLO = """\
name: hello
inputs:
  who: {type: string, default: world}
steps:
  - id: greet
    type: set
    with: {values: {text: "hello ${{ inputs.who }}"}}
output: "${{ steps.greet.output.text }}"
"""


@dataclass
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def fault(self) -> Any:
        return json.loads(self.err)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project folder with the bot ``hello``, and the present folder meanwhile."""
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "hello.yaml").write_text(HELLO)
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.fixture
def codex32(project: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Carry out a command line in this process, in the project folder."""

    def call(*args: str) -> Answer:
        capfd.readouterr()
        code = run(args)
        told = capfd.readouterr()
        return Answer(code, told.out, told.err)

    return call


@pytest.fixture
def model(
    codex32: Callable[..., Answer], project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModelServer]:
    """A service of models on this machine that the settings name; it says what it is asked to."""
    with ModelServer() as server:
        (project / "codex32.yaml").write_text(
            "builder: {model: openai:gpt-5-mini}\n"
            f'plugins: {{openai: {{base_url: "{server.openai_url}"}}}}\n'
            "ai: {prices: {'openai:*': {input_usd: 0.1, output_usd: 0.5}}}\n"
        )
        assert codex32("db", "upgrade").code == 0
        monkeypatch.setattr(sys, "stdin", io.StringIO(server.key))
        told = codex32("secrets", "set", "OPENAI_API_KEY")
        assert told.code == 0, told.err
        yield server
