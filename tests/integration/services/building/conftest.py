"""A house with the real parts, and a service of models on this machine that has a personality."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from codex32_descriptions import Solved, corpus

from codex32.engine.values import dialect  # noqa: F401 - else a schema would load it on the loop
from codex32.installed import load_plugins
from codex32.kernel.caller import Caller
from codex32.kernel.spending_rows import BudgetRow, ModelAttemptRow
from codex32.runtime import Runtime, open_runtime
from codex32.services.building.builder import Builder
from codex32.services.building.session import Session
from codex32.services.safe import secrets
from codex32_config.settings import load_settings
from codex32_testing.model_server import ModelServer
from codex32_testing.model_server.builders import PERSONALITIES, builder_model

#: The workspace has it, so no model may ever be told it.
PAYROLL = "correct-horse-battery-staple"


class House:
    """A runtime, and what tests ask of it."""

    def __init__(self, runtime: Runtime, server: ModelServer) -> None:
        self.runtime, self.server = runtime, server
        self.door, self.builder = runtime.door, runtime.builder
        self.payroll = PAYROLL
        self.caller = Caller("user", "usr_1", "ann", workspace="default", permissions=None)

    def is_(self, personality: str, solutions: list[Solved] | None = None) -> None:
        """Let the model have this personality."""
        self.server.reset()
        model = builder_model(solutions or corpus(), PERSONALITIES[personality])
        self.server.ask(model)

    async def build(self, description: str, **more: Any) -> Session:
        """A session as far as it comes with no answers."""
        session = await self.builder.begin(description, self.caller, **more)
        session = await self.builder.run(session.id, "default")
        if session.status == "asking":
            await self.builder.answer(session.id, {}, self.caller, go_on=True)
            session = await self.builder.run(session.id, "default")
        return session

    async def in_balance(self) -> None:
        """Nothing is reserved, every session kept to its budget, and all was booked."""

        def look() -> tuple[list[BudgetRow], list[ModelAttemptRow]]:
            return list(BudgetRow.select()), list(ModelAttemptRow.select())

        budgets, attempts = await self.door.read(look)
        for each in budgets:
            assert each.reserved_nano == 0, each.key
            assert each.spent_nano <= each.limit_nano, each.key
        assert all(each.state != "reserved" for each in attempts)

    @property
    def prompts(self) -> str:
        """All that any model was told."""
        return "\n".join(str(each.body) for each in self.server.asked)


@pytest.fixture
def described() -> dict[str, Solved]:
    return {each.name: each for each in corpus()}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def open_house(
    tmp_path: Path, database_url: str, server: ModelServer
) -> Iterator[Callable[..., House]]:
    """Opens houses on one database, one after the other."""
    opened: list[Runtime] = []

    def open_one(**overrides: Any) -> House:
        settings = load_settings(
            folder=tmp_path,
            overrides={
                "database_url": database_url,
                "builder.model": "openai:gpt-5-mini",
                "plugins": {"openai": {"base_url": server.openai_url}},
                "ai.prices": {"openai:*": {"input_usd": 0.1, "output_usd": 0.5}},
                **overrides,
            },
            environ={},
        )
        runtime = open_runtime(settings, "api", plugins=load_plugins(settings))
        opened.append(runtime)
        house = House(runtime, server)
        keep = partial(secrets.write, runtime.vault)
        now = runtime.clock.micros()
        for name, value in (("OPENAI_API_KEY", server.key), ("PAYROLL", PAYROLL)):
            runtime.door.write_now(
                partial(keep, name, value, house.caller, now, workspace="default")
            )
        return house

    yield open_one
    for runtime in opened:
        runtime.close()


@pytest_asyncio.fixture
async def house(open_house: Callable[..., House]) -> Any:
    house = await asyncio.to_thread(open_house)
    yield house
    await house.runtime.models.close()
    await house.runtime.leave()


@pytest.fixture
def builder(house: House) -> Builder:
    return house.builder
