"""Whatever a service does in whatever order: typed, in time, within budget, and booked in full.

The real SDKs speak to a server that goes through a script drawn at random.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import codex32_anthropic
import codex32_openai
from codex32 import BudgetExceeded, ModelFault, SystemClock
from codex32.kernel.components import Components
from codex32.kernel.spending_rows import SPENDING_ROWS
from codex32.services.ai.budgets import Caps
from codex32.services.ai.gateway import Rules
from codex32.services.ai.money import nano
from codex32.services.ai.prices import Price, Prices
from codex32_testing.model_server import EMBEDDING_FAULTS, FAULTS, ModelServer, Turn
from codex32_testing.model_server.embeddings import vector

#: What the server reckons with, in US dollars for a million tokens.
PRICE = Price(Decimal("0.1"), Decimal("0.5"), Decimal("0.01"), Decimal("0.125"))
MODELS = ("openai:gpt-5-mini", "anthropic:claude-haiku-4-5")
EMBEDDER = "openai:text-embedding-3-small"
#: Beyond the deadline: a busy machine's threads, and connections that are closed.
CEILING_SECONDS = 10.0
GOOD = "good"
#: An attempt of 500 tokens costs up to some 0.0003 USD: of these budgets one takes none of them,
#: one some, and one all.
BUDGETS = (nano(0.0001), nano(0.0008), nano(1.0))

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
bounded = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Trial:
    """What happens, and within what."""

    script: tuple[str, ...]
    chain: tuple[str, ...]
    budget: int
    deadline_seconds: float
    streams: bool


trials = st.builds(
    Trial,
    script=st.lists(st.sampled_from([GOOD, *sorted(FAULTS)]), min_size=1, max_size=8).map(tuple),
    chain=st.sampled_from([MODELS[:1], MODELS[1:], MODELS, MODELS[::-1]]),
    budget=st.sampled_from(BUDGETS),
    deadline_seconds=st.sampled_from([0.3, 1.0, 2.0]),
    streams=st.booleans(),
)
embedding_faults = {
    **{name: each for name, each in FAULTS.items() if each.embeddings},
    **EMBEDDING_FAULTS,
}
embedding_scripts = st.lists(
    st.sampled_from([GOOD, *sorted(embedding_faults)]), min_size=1, max_size=6
)


@asynccontextmanager
async def served():
    """A service of this example's own: what an earlier one still sends reaches nobody."""
    server = ModelServer()
    await asyncio.to_thread(server.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.__exit__)


@pytest.fixture
def new_house(door, make_house):
    """Makes a house without a past: no rows, breakers closed, a service that knows no request."""

    async def make_one(server, budget):
        await door.write(lambda: [row.delete().execute() for row in SPENDING_ROWS])
        house = make_house(
            caps=Caps(month_nano=budget),
            prices=Prices({"*": PRICE}),
            rules=Rules(call_seconds=0.4, max_tokens=500),
        )
        openai = {"base_url": server.openai_url}
        parts = Components.of(
            llm_providers=[
                *codex32_openai.register_llm_providers(openai),
                *codex32_anthropic.register_llm_providers({"base_url": server.url}),
            ],
            embedders=codex32_openai.register_embedders(openai),
        )
        house.clock = SystemClock.shared
        house.models = replace(house.models, components=parts, clock=house.clock)
        house.secrets.update(OPENAI_API_KEY=server.key, ANTHROPIC_API_KEY=server.key)
        return house

    return make_one


async def accounted(house, server, budget):
    """The books hold, whatever happened."""
    await house.models.close()
    rows = await house.attempts()
    assert all(row.state in ("settled", "assumed", "released") for row in rows)
    assert sum(row.cost_nano for row in rows) >= server.billed()
    await house.in_balance()
    assert all(spent <= budget for spent, _ in (await house.budgets()).values())


@settings(bounded, max_examples=15)
@given(trial=trials)
async def test_every_script_ends_typed_in_time_within_budget_and_booked(new_house, trial):
    async with served() as server:
        house = await new_house(server, trial.budget)
        server.script(*(Turn() if name == GOOD else FAULTS[name] for name in trial.script))
        deadline = house.clock.now() + timedelta(seconds=trial.deadline_seconds)
        heard: list[str] = []
        began, told = time.monotonic(), ""
        try:
            first, *others = trial.chain
            answer = await house.ask(
                model=first,
                fallback=others,
                on_text=heard.append if trial.streams else None,
                deadline_at=deadline,
            )
            assert answer.text
            assert not trial.streams or "".join(heard) == answer.text
        except (ModelFault, BudgetExceeded) as failure:
            told = str(failure)
        assert time.monotonic() - began < trial.deadline_seconds + CEILING_SECONDS
        assert server.key not in told
        await accounted(house, server, trial.budget)


@settings(bounded, max_examples=10)
@given(script=embedding_scripts, budget=st.sampled_from(BUDGETS), count=st.integers(1, 40))
async def test_vectors_are_right_or_none_whatever_comes(new_house, script, budget, count):
    async with served() as server:
        house = await new_house(server, budget)
        server.script(*(Turn() if name == GOOD else embedding_faults[name] for name in script))
        texts = [f"note {n} tells of subject {n * n}" for n in range(count)]
        deadline = house.clock.now() + timedelta(seconds=2)
        began, told = time.monotonic(), ""
        try:
            vectors = await house.models.gateway.embed(
                house.caller(deadline_at=deadline), texts, embedder=EMBEDDER
            )
            for text, found in zip(texts, vectors, strict=True):
                assert found == pytest.approx(vector(text, 1536), abs=1e-5)
        except (ModelFault, BudgetExceeded) as failure:
            told = str(failure)
        assert time.monotonic() - began < 2 + CEILING_SECONDS
        assert server.key not in told
        await accounted(house, server, budget)
