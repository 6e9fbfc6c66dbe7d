"""The gateway over the real SDKs, against a service that fails in every way it knows."""

import time
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

import codex32_anthropic
import codex32_openai
from codex32 import BudgetExceeded, ModelFault
from codex32.kernel.components import Components
from codex32.services.ai.budgets import Caps
from codex32.services.ai.gateway import Rules
from codex32.services.ai.money import nano
from codex32.services.ai.prices import Price, Prices
from codex32_testing.model_server import EMBEDDING_FAULTS, FAULTS, ModelServer

#: What the server reckons with, in US dollars for a million tokens.
PRICE = Price(Decimal("0.1"), Decimal("0.5"), Decimal("0.01"), Decimal("0.125"))
DEADLINE_SECONDS = 3.0
EMBEDDER = "openai:text-embedding-3-small"
VECTOR_FAULTS = {
    **{name: each for name, each in FAULTS.items() if each.embeddings},
    **EMBEDDING_FAULTS,
}
MODELS = {"openai": "openai:gpt-5-mini", "anthropic": "anthropic:claude-haiku-4-5"}


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


@pytest.fixture
def house(make_house, server):
    house = make_house(
        caps=Caps(month_nano=nano(0.5)),
        prices=Prices({"*": PRICE}),
        rules=Rules(call_seconds=1.0, max_tokens=500),
    )
    providers = [
        *codex32_openai.register_llm_providers({"base_url": server.openai_url}),
        *codex32_anthropic.register_llm_providers({"base_url": server.url}),
    ]
    embedders = codex32_openai.register_embedders({"base_url": server.openai_url})
    parts = Components.of(llm_providers=providers, embedders=embedders)
    house.models = replace(house.models, components=parts)
    house.secrets.update(OPENAI_API_KEY=server.key, ANTHROPIC_API_KEY=server.key)
    return house


@pytest.fixture
async def over_the_wire(house):
    yield house
    await house.models.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_every_fault_ends_in_time_within_budget_and_typed(
    over_the_wire, server, provider, fault
):
    house = over_the_wire
    server.script(FAULTS[fault], FAULTS[fault])
    began = time.monotonic()
    told = ""
    try:
        await house.ask(model=MODELS[provider])
    except (ModelFault, BudgetExceeded) as failure:
        told = str(failure)
    assert server.key not in told
    # Two requests of a second each, and the pause between them; the rest is a busy machine's.
    assert time.monotonic() - began < DEADLINE_SECONDS + 5
    assert len(server.asked) <= 3
    rows = await house.attempts()
    assert all(row.state in ("settled", "assumed", "released") for row in rows)
    # What the service billed was booked, or more was taken to be spent.
    assert sum(row.cost_nano for row in rows) >= server.billed()
    await house.in_balance()
    assert all(spent <= nano(0.5) for spent, _ in (await house.budgets()).values())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", sorted(VECTOR_FAULTS))
async def test_vectors_are_booked_at_what_was_billed_whatever_was_told(
    over_the_wire, server, fault
):
    house = over_the_wire
    server.script(VECTOR_FAULTS[fault])
    texts = [f"note {n} tells of subject {n * n}" for n in range(19)]
    with suppress(ModelFault):  # its kind is looked at where its plugin is tried
        await house.models.gateway.embed(house.caller(), texts, embedder=EMBEDDER)
    assert sum(row.cost_nano for row in await house.attempts()) >= server.billed()
    await house.in_balance()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("provider", MODELS)
async def test_the_ledger_equals_what_the_service_counted(over_the_wire, server, provider):
    house = over_the_wire
    for number in range(3):
        await house.ask(f"Say {number}.", model=MODELS[provider], step=f"s{number}")
    assert sum(row.cost_nano for row in await house.attempts()) == server.billed()
    await house.in_balance()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_another_provider_answers_where_one_is_down(over_the_wire, server):
    house = over_the_wire
    down = FAULTS["server_json"]
    server.script(down, down, model="gpt-5-mini")
    answer = await house.ask(model=MODELS["openai"], fallback=[MODELS["anthropic"]])
    assert answer.text
