"""Bots as people find them, set to services of a test, and the houses they live in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from codex32_houses import House, ServersHouse, UpHouse, living, private_redis

from codex32_testing.model_server import ModelServer

ROOT = Path(__file__).parents[2]


def sample(path: str) -> str:
    """A sample bot without its tests."""
    return (ROOT / path).read_text(encoding="utf-8").partition("\ntests:\n")[0] + "\n"


def changed(text: str, changes: Mapping[str, str]) -> str:
    """The text of a bot with other addresses, models and names; each has to be in it."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def model_settings(model: ModelServer) -> dict[str, Any]:
    """Settings under which ``openai:…`` is the model server, at a known price."""
    return {
        "ai": {"prices": {"openai:*": {"input_usd": 0.1, "output_usd": 0.5}}},
        "plugins": {"openai": {"base_url": model.openai_url}},
    }


@contextmanager
def housed(
    kind: str, folder: Path, environment: Mapping[str, str], request: pytest.FixtureRequest
) -> Iterator[House]:
    """A house of real processes, not started.

    Args:
      kind: ``up`` is ``codex32 up`` on SQLite; ``servers`` and ``postgresql`` are API, scheduler
        and workers as processes of their own, on SQLite and on PostgreSQL.
    """
    environment = dict(environment)
    maker: type[House] = UpHouse
    with ExitStack() as stack:
        if kind != "up":
            maker = ServersHouse
            redis = stack.enter_context(private_redis())
            environment["CODEX32_REDIS_URL"] = redis.url
        if kind == "postgresql":
            server = request.getfixturevalue("postgres_server")
            environment["CODEX32_DATABASE_URL"] = url = server.create()
            stack.callback(server.drop, url)
        yield stack.enter_context(living(maker(folder, environment)))
