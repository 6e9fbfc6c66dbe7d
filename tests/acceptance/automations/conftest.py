"""What users build, end to end: real processes against services on this machine.

Fixtures:

``hands`` (Hands)
    Moves the clocks of the house's processes; they show the true time at first.
``build`` (Callable[..., House])
    ``build(kind, settings, **environment)``: a house as ``codex32_automations.housed`` makes it.
    One on PostgreSQL goes by the clock of its database, which ``hands`` move as well.
``model`` (ModelServer)
    Speaks OpenAI's wire; ``model_settings`` leads to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from codex32_automations import housed
from codex32_hands import Hands
from codex32_houses import House

from codex32_testing.model_server import ModelServer


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return Hands(tmp_path / "hands")


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def build(
    request: pytest.FixtureRequest, tmp_path: Path, hands: Hands
) -> Iterator[Callable[..., House]]:
    with ExitStack() as stack:

        def build(kind: str, settings: dict[str, Any], **environment: str) -> House:
            folder = tmp_path / "house"
            environment["CODEX32_CLOCK_SHIFT"] = str(hands.path)
            house = stack.enter_context(housed(kind, folder, environment, request))
            if kind == "postgresql":
                assert house.cli("db", "upgrade").returncode == 0
                hands.move(house.environment["CODEX32_DATABASE_URL"])
                settings = {**settings, "recovery": {"interval_seconds": 0.3}}
            (folder / "codex32.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
            return house

        yield build
