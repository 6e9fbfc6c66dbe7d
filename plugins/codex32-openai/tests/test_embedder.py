"""Texts that take several requests, of which a later one fails."""

import pytest

from codex32 import ModelFault
from codex32_openai import register_embedders
from codex32_testing.model_server import FAULTS, Turn

#: As long as a text may be; a request takes some dozen of these.
LONG = "the sea and its ships " * 1400


@pytest.fixture
async def embedder(model_server):
    settings = {"base_url": model_server.openai_url}
    (found,) = (
        each for each in register_embedders(settings) if each.name.endswith("embedding-3-small")
    )
    yield found
    await found.close()


async def embed(embedder, model_server):
    texts = [f"{n} {LONG}" for n in range(20)]
    return await embedder.embed(
        texts, purpose="document", timeout_seconds=60, key=model_server.key
    )


async def test_texts_of_several_requests_come_in_order_and_are_counted_together(
    embedder, model_server
):
    found = await embed(embedder, model_server)
    assert len(model_server.asked) == 2
    assert len(found.vectors) == 20
    assert found.input_tokens == sum(each.billed.input for each in model_server.asked)


@pytest.mark.parametrize("name", ["rate_limited", "overloaded", "forbidden", "torn_json"])
async def test_a_refusal_after_an_answer_does_not_say_that_nothing_is_billed(
    embedder, model_server, name
):
    fault = FAULTS[name]
    model_server.script(Turn(), fault)
    with pytest.raises(ModelFault) as raised:
        await embed(embedder, model_server)
    assert (raised.value.kind, raised.value.billed) == (fault.kind, "yes")
    assert model_server.billed() > 0


async def test_a_refusal_of_the_first_request_costs_nothing(embedder, model_server):
    model_server.script(FAULTS["rate_limited"])
    with pytest.raises(ModelFault) as raised:
        await embed(embedder, model_server)
    assert raised.value.billed == "no"
    assert model_server.billed() == 0
