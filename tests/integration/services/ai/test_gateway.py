"""Calls of models: chains, retries, deadlines, structured answers, and what is booked of them."""

import asyncio
import json
import time

import pytest

from codex32 import (
    BudgetExceeded,
    CapabilityRefused,
    CompletionRequest,
    ModelFault,
    ModelMessage,
    PriceUnknown,
    StepFault,
    Tool,
    ToolCall,
    Usage,
)
from codex32.kernel.contracts.gateway import Payer
from codex32.kernel.errors import ComponentNotFound
from codex32.services.ai.budgets import Caps
from codex32.services.ai.gateway import Rules
from codex32.services.ai.money import nano
from codex32.services.ai.prices import Prices

Caps()  # the file of its time zone is read here, for on an event loop nothing may be
LINES = {
    "type": "object",
    "properties": {"lines": {"type": "array", "items": {"type": "string"}}},
    "required": ["lines"],
}
COST = (
    100 * 10_000 + 20 * 50_000
)  # nano-USD of 100 tokens in and 20 out at 10 and 50 USD a million
DOWN = ModelFault("server", "down", billed="no")


async def test_an_answer_comes_with_what_it_cost(house):
    house.secrets["ONE_KEY"] = "sk-one"
    answer = await house.ask()
    assert (answer.text, answer.model, answer.cost_nano_usd) == ("yes", "one:plain", COST)
    assert answer.usage == Usage(100, 20)
    assert house.one.keys == ["sk-one"]
    (row,) = await house.attempts()
    assert (row.state, row.cost_nano, row.input_tokens, row.output_tokens) == (
        "settled",
        COST,
        100,
        20,
    )
    assert (row.answered_by, row.request_id, row.day) == ("plain-2026", "req_1", "2026-01-05")
    await house.in_balance()


async def test_what_allow_does_not_name_is_refused_before_anything_is_paid(house):
    with pytest.raises(CapabilityRefused, match=r"two:plain is not in allow\.models"):
        await house.ask(fallback=["two:plain"], models=("one:plain",))
    assert house.one.asked == []
    answer = await house.ask(models=("one:*",))
    assert answer.text == "yes"


async def test_names_that_nobody_has_are_told_with_what_was_meant(house):
    with pytest.raises(ComponentNotFound, match="did you mean 'one'"):
        await house.ask(model="onee:plain")
    with pytest.raises(StepFault, match=r"write provider:model.*one:plain"):
        await house.ask(model="oneplain")


async def test_the_next_of_a_chain_answers_where_the_first_does_not(house):
    house.one.say(ModelFault("auth", "no such key sk-abcdefghijkl", status=401))
    answer = await house.ask(fallback=["two:plain"])
    assert answer.model == "two:plain"
    assert [row.state for row in await house.attempts()] == ["released", "settled"]
    await house.in_balance()


async def test_a_bad_request_is_not_sent_to_others(house):
    house.one.say(ModelFault("bad_request", "what?", status=400))
    with pytest.raises(ModelFault, match=r"one:plain: what\?") as caught:
        await house.ask(fallback=["two:plain"])
    assert caught.value.kind == "bad_request"
    assert not caught.value.retryable
    assert house.two.asked == []


@pytest.mark.parametrize("kind", ["server", "network", "timeout", "malformed"])
async def test_what_may_pass_is_tried_once_more(house, kind):
    house.one.say(ModelFault(kind, "down", billed="maybe"), "back")
    answer = await house.ask()
    assert answer.text == "back"
    first, second = await house.attempts()
    assert (first.state, first.fault, first.cost_nano) == ("assumed", kind, first.reserved_nano)
    assert second.state == "settled"
    await house.in_balance()


async def test_patience_is_asked_for_and_given_where_it_is_short(house):
    house.one.say(ModelFault("rate_limited", "slow down", retry_after_seconds=0.01), "now")
    assert (await house.ask()).text == "now"
    house.one.say(ModelFault("rate_limited", "slow down", retry_after_seconds=60))
    with pytest.raises(ModelFault) as caught:
        await house.ask(step="other")
    assert (caught.value.kind, caught.value.retry_after_seconds) == ("rate_limited", 60)
    assert caught.value.retryable


async def test_a_model_that_asked_for_an_hour_is_left_alone_and_the_chain_goes_on(house):
    house.one.say(ModelFault("rate_limited", "slow down", retry_after_seconds=3600))
    assert (await house.ask(fallback=["two:plain"])).model == "two:plain"
    assert (await house.ask(fallback=["two:plain"], step="second")).model == "two:plain"
    assert len(house.one.asked) == 1


async def test_where_all_are_given_time_the_step_is_told_when_to_come_back(house):
    fault = ModelFault("rate_limited", "slow down", retry_after_seconds=1000)
    house.one.say(fault)
    with pytest.raises(ModelFault):
        await house.ask()
    with pytest.raises(ModelFault) as caught:
        await house.ask(step="second")
    assert caught.value.kind == "rate_limited"
    assert caught.value.retry_after_seconds == pytest.approx(1000, abs=5)


async def test_a_trickling_answer_is_cut_at_its_limit(make_house, said):
    house = make_house(rules=Rules(call_seconds=0.4))
    house.one.say(said("a b c d e f g h i j k l m n o p q r s t", drip_seconds=0.15))
    began = time.monotonic()
    answer = await house.ask(fallback=["two:plain"], model="one:plain")
    assert time.monotonic() - began < 10
    assert len(house.one.asked) == 2  # a limit that passes is tried again; the second says yes
    assert answer.text == "yes"
    rows = await house.attempts()
    assert [(row.state, row.fault) for row in rows] == [("assumed", "timeout"), ("settled", None)]


async def test_no_request_is_sent_when_no_time_is_left(house):
    with pytest.raises(ModelFault, match="no time is left"):
        await house.ask(deadline_at=house.clock.now())
    assert house.one.asked == []


async def test_a_cancelled_call_is_booked_at_what_was_reserved(house, said):
    house.one.say(said("a b c", drip_seconds=30))
    task = asyncio.create_task(house.ask())
    while not house.one.asked:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await house.door.write(lambda: None)
    (row,) = await house.attempts()
    assert (row.state, row.cost_nano) == ("assumed", row.reserved_nano)
    await house.in_balance()


@pytest.mark.parametrize(
    "usage",
    [
        None,
        Usage(-1, 2),
        Usage(1, 2, cached_input_tokens=3),
        Usage("12", None),
        Usage(0, 0),
        Usage(100, 0),
        Usage(9_000_000, 20),
        Usage(100, 9_000_000),
    ],
    ids=[
        "none",
        "negative",
        "more cached than sent",
        "no numbers",
        "nothing",
        "nothing said",
        "more than was sent",
        "more than was to be said",
    ],
)
async def test_an_answer_that_does_not_say_what_it_cost_costs_what_was_reserved(
    house, said, usage
):
    house.one.say(said(usage=usage))
    assert (await house.ask()).text == "yes"
    (row,) = await house.attempts()
    assert row.state == "assumed"
    assert row.cost_nano == row.reserved_nano > 0
    await house.in_balance()


async def test_a_stream_without_an_end_is_no_answer(house, said):
    house.one.say(said("half", end=False, usage=None), "whole")
    assert (await house.ask()).text == "whole"


async def test_pieces_are_handed_out_as_they_come_and_then_nothing_is_begun_anew(house, said):
    pieces = []
    house.one.say(said("one two three", cut=ModelFault("network", "cut", billed="maybe")))
    with pytest.raises(ModelFault, match="cut"):
        await house.ask(fallback=["two:plain"], on_text=pieces.append)
    assert pieces == ["one ", "two ", "three"]
    assert house.two.asked == []
    assert len(house.one.asked) == 1


async def test_a_cut_answer_is_asked_for_again_with_twice_the_room(house, said):
    house.one.say(said("too lo", reason="length"), "short")
    answer = await house.ask(model="one:strict")
    assert answer.text == "short"
    assert [asked.max_tokens for asked in house.one.asked] == [4096, 8192]
    assert answer.cost_nano_usd == 2 * COST


async def test_whoever_sets_the_limit_of_an_answer_meant_it(house, said):
    house.one.say(said("too lo", reason="length"))
    with pytest.raises(ModelFault, match="cut off"):
        await house.ask(max_tokens=5)
    assert len(house.one.asked) == 1


async def test_a_refusal_is_paid_and_goes_to_the_next(house, said):
    house.one.say(said("", reason="refused"))
    assert (await house.ask(fallback=["two:plain"])).model == "two:plain"
    first, _ = await house.attempts()
    assert (first.state, first.fault, first.cost_nano) == ("settled", "refused", COST)


async def test_keys_that_a_service_echoes_stand_in_no_message(house):
    house.secrets["ONE_KEY"] = "a-key-of-ours-123"
    house.one.say(ModelFault("auth", "wrong key: a-key-of-ours-123 or sk-proj-12345678901"))
    with pytest.raises(ModelFault) as caught:
        await house.ask()
    assert "a-key-of-ours-123" not in str(caught.value)
    assert "12345678901" not in str(caught.value)


# prices and budgets


async def test_a_price_that_nobody_knows_refuses_the_call(make_house):
    from codex32.services.ai.prices import Prices

    house = make_house(prices=Prices())
    with pytest.raises(PriceUnknown, match="no price of one:plain is known"):
        await house.ask()
    assert house.one.asked == []
    house = make_house(prices=Prices(unknown="worst_case"))
    answer = await house.ask()
    assert answer.cost_nano_usd == 100 * 30_000 + 20 * 180_000


async def test_a_call_that_may_cost_more_than_is_left_is_not_made(make_house):
    house = make_house(caps=Caps(month_nano=nano(0.001)))
    with pytest.raises(BudgetExceeded, match="installation's budget of 2026-01") as caught:
        await house.ask()
    assert caught.value.scope == "house 2026-01"
    assert house.one.asked == []
    assert await house.attempts() == []


async def test_a_cheaper_model_of_the_chain_is_asked_where_a_dear_one_would_cost_too_much(
    make_house,
):
    house = make_house(caps=Caps(month_nano=nano(0.03)))
    assert (await house.ask(fallback=["two:plain"])).model == "two:plain"


@pytest.mark.parametrize("period", ["execution", "day", "month"])
async def test_a_bot_spends_no_more_than_its_file_allows(house, period):
    spend = {period: 0.011}
    await house.ask(spend_usd=spend, max_tokens=100)
    await house.ask(spend_usd=spend, max_tokens=100, step="b")

    async def spend_all():
        for number in range(20):
            await house.ask(spend_usd=spend, max_tokens=100, step=f"c{number}")

    with pytest.raises(BudgetExceeded, match=rf"allow\.spend_usd\.{period}"):
        await spend_all()
    own = [v for key, v in (await house.budgets()).items() if not key.startswith("house")]
    assert [nano(0.011) >= spent > 0 for spent, _ in own] == [True]
    await house.in_balance()


@pytest.mark.parametrize("period", ["execution", "day", "month"])
async def test_what_a_bot_spends_counts_for_those_who_had_it_started_as_well(house, period):
    first = Payer("exe_first", "bot_first", {period: 0.011})
    second = Payer("exe_second", "bot_second", {period: 0.5})

    async def spend_all():
        for number in range(20):
            child = {"execution_id": f"exe_{number}", "bot_id": f"bot_{number}"}
            await house.ask(payers=[first, second], max_tokens=100, **child)

    with pytest.raises(BudgetExceeded, match=rf"starting bot.*allow\.spend_usd\.{period}"):
        await spend_all()
    own = {key: spent for key, (spent, _) in (await house.budgets()).items() if "_" in key}
    assert sorted(key.split(":")[1].split()[0][4:] for key in own) == ["first", "second"]
    assert len(set(own.values())) == 1
    assert 0 < own.popitem()[1] <= nano(0.011)
    await house.in_balance()


async def test_a_bot_that_starts_itself_has_one_budget_of_a_day(house):
    again = Payer("exe_0", "bot_1", {"day": 0.004})

    async def spend_all():
        for number in range(20):
            await house.ask(payers=[again], spend_usd={"day": 1.0}, step=f"s{number}")

    with pytest.raises(BudgetExceeded):
        await spend_all()
    (spent,) = [spent for key, (spent, _) in (await house.budgets()).items() if "bot_1" in key]
    assert spent <= nano(0.004)


# structured answers


async def test_an_answer_that_fits_is_given_as_a_value(house):
    house.one.say(json.dumps({"lines": ["a"]}))
    answer = await house.ask(model="one:strict", schema=LINES)
    assert answer.value == {"lines": ["a"]}
    assert house.one.asked[0].schema == LINES


async def test_a_schema_that_is_no_object_travels_in_one(house):
    house.one.say('{"value": [1, 2]}')
    schema = {"type": "array", "items": {"type": "integer"}}
    answer = await house.ask(model="one:strict", schema=schema)
    assert answer.value == [1, 2]
    assert house.one.asked[0].schema["properties"]["value"] == schema


async def test_a_model_that_refuses_a_rung_is_asked_on_the_next_and_remembered(house, said):
    no = ModelFault("unsupported", "no response_format", status=400)
    call = ToolCall("1", "answer", {"lines": ["b"]})
    house.one.say(no, said("", calls=(call,), reason="tools"))
    assert (await house.ask(model="one:strict", schema=LINES)).value == {"lines": ["b"]}
    assert [asked.tool_choice for asked in house.one.asked] == ["auto", "answer"]
    house.one.say(said("", calls=(call,), reason="tools"))
    await house.ask(model="one:strict", schema=LINES, step="again")
    assert len(house.one.asked) == 3
    await house.in_balance()


@pytest.mark.parametrize("schema", [None, LINES], ids=["text", "schema"])
async def test_a_model_that_takes_no_temperature_is_asked_without_and_remembered(house, schema):
    no = ModelFault("unsupported", "temperature does not support 0.5 here", status=400)
    house.one.say(no, *['{"lines": []}'] * 2)
    for step in ("ask", "again"):
        await house.ask(model="one:strict", temperature=0.5, schema=schema, step=step)
    # It was asked on its best rung each time, and told once.
    assert [asked.temperature for asked in house.one.asked] == [0.5, None, None]
    assert {asked.schema is None for asked in house.one.asked} == {schema is None}
    assert (await house.attempts())[0].state == "released"
    await house.in_balance()


async def test_an_answer_that_came_without_a_temperature_is_found_again_behind_a_chain(house):
    no = ModelFault("unsupported", "temperature does not support 0.5 here", status=400)
    down = ModelFault("server", "down", status=500)
    house.one.say(down, down)
    house.two.say(no, "bought")
    asking = {"temperature": 0.5, "fallback": ["two:plain"], "model": "one:plain"}
    assert (await house.ask(**asking)).text == "bought"
    again = await house.ask(**asking)
    assert (again.text, again.replayed, len(house.one.asked)) == ("bought", True, 2)


async def test_a_provider_whom_nobody_pays_offers_models_that_it_does_not_know(make_house):
    house = make_house(prices=Prices({}))
    with pytest.raises(PriceUnknown):
        await house.ask(model="two:unheard:8b")
    house.two.free = True
    assert (await house.ask(model="two:unheard:8b")).cost_nano_usd == 0
    assert [row.reserved_nano for row in await house.attempts()] == [0]


@pytest.mark.parametrize(
    "text",
    [
        '{"lines": []}',
        '```json\n{"lines": []}\n```',
        'Sure! ```\n{"lines": []}\n``` Anything else?',
        'Here it is: {"lines": []}',
        '{"lines": []} I hope that helps',
    ],
    ids=["plain", "fenced", "fenced in prose", "after prose", "before prose"],
)
async def test_prose_and_fences_around_an_answer_do_no_harm(house, text):
    house.one.say(text)
    assert (await house.ask(schema=LINES)).value == {"lines": []}
    assert "JSON Schema" in house.one.asked[0].messages[0].text


async def test_an_answer_that_does_not_fit_is_mended_without_growing(house):
    house.one.say('{"lines": 1}', '{"line": []}', '{"lines": ["c"]}')
    answer = await house.ask(schema=LINES)
    assert answer.value == {"lines": ["c"]}
    assert answer.cost_nano_usd == 3 * COST
    assert [len(asked.messages) for asked in house.one.asked] == [2, 3, 3]
    last = house.one.asked[-1].messages
    assert last[-1].role == "user"
    assert "lines" in last[-1].text


async def test_the_same_fault_again_ends_the_mending(house):
    house.one.say("no", "no", "no", "no")
    with pytest.raises(ModelFault) as caught:
        await house.ask(schema=LINES)
    assert caught.value.kind == "invalid"
    assert len(house.one.asked) == 2
    await house.in_balance()


async def test_an_answer_that_was_of_no_use_is_bought_anew_by_a_retry(house):
    house.one.say("no", "no")
    with pytest.raises(ModelFault):
        await house.ask(schema=LINES)
    house.one.say('{"lines": []}')
    assert (await house.ask(schema=LINES)).value == {"lines": []}
    assert len(house.one.asked) == 3


# tools


async def test_tool_calls_pass_through(house, said):
    tool = Tool("look", "Look it up.", {"type": "object"})
    house.one.say(said("", calls=(ToolCall("1", "look", {"q": "x"}),), reason="tools"))
    answer = await house.ask(tools=[tool])
    assert answer.reason == "tools"
    assert [call.arguments for call in answer.tool_calls] == [{"q": "x"}]


async def test_what_a_model_cannot_is_not_sent_to_it(house):
    tool = Tool("look", "Look it up.", {"type": "object"})
    with pytest.raises(ModelFault, match="takes no tools"):
        await house.ask(model="one:blind", tools=[tool])
    assert house.one.asked == []


# the journal


async def test_what_a_step_bought_is_not_bought_again(house):
    house.one.say("bought once")
    first = await house.ask()
    again = await house.ask()
    assert (again.text, again.replayed, first.replayed) == ("bought once", True, False)
    assert again.cost_nano_usd == COST
    assert len(house.one.asked) == 1
    await house.in_balance()


async def test_an_answer_longer_than_a_row_is_kept_too(house, said):
    house.one.say(said("x" * 50_000))
    await house.ask()
    assert (await house.ask()).text == "x" * 50_000
    assert len(house.one.asked) == 1


async def test_the_same_question_twice_in_one_step_is_two_purchases_and_both_are_kept(house):
    house.one.say("first", "second")
    for _ in range(2):
        caller = house.caller()
        told = [(await house.ask(caller=caller)).text for _ in range(2)]
        assert told == ["first", "second"]
    assert len(house.one.asked) == 2


async def test_another_step_item_or_execution_buys_for_itself(house):
    for more in ({}, {"step": "b"}, {"item": 1}, {"execution_id": None}):
        await house.ask(**more)
    assert len(house.one.asked) == 4


async def test_a_retry_of_what_failed_is_given_what_the_failed_one_had_bought(house, said):
    house.one.say(said("bought once" + "x" * 50_000))  # as long as a file of the first execution
    first = await house.ask()
    retry = {
        "execution_id": "exe_01jd0000000000000000000002",
        "answers_of": house.caller().execution_id,
    }
    again = await house.ask(**retry)
    assert (again.text, again.replayed) == (first.text, True)
    assert (await house.ask("Something else?", **retry)).text == "yes"
    assert (await house.ask("Something else?")).replayed  # and the other way round
    assert len(house.one.asked) == 2
    await house.in_balance()


@pytest.mark.parametrize("kind", ["server", "network", "timeout", "rate_limited"])
async def test_what_was_bought_at_the_second_try_is_not_bought_again(house, kind):
    house.one.say(ModelFault(kind, "down", billed="no", retry_after_seconds=0.01), "back")
    assert (await house.ask()).text == "back"
    again = await house.ask()
    assert (again.text, again.replayed) == ("back", True)
    assert len(house.one.asked) == 2
    await house.in_balance()


async def test_what_another_model_answered_is_not_bought_from_the_first_afterwards(house):
    house.one.say(DOWN, DOWN)
    first = await house.ask(model="one:strict", fallback=["two:plain"], temperature=0.5)
    house.one.say("I am back")
    again = await house.ask(model="one:strict", fallback=["two:plain"], temperature=0.5)
    assert (again.text, again.model, again.replayed) == (first.text, "two:plain", True)
    assert (len(house.one.asked), len(house.two.asked)) == (2, 1)
    await house.in_balance()


async def test_the_mending_of_another_model_goes_on_where_it_was_left(house):
    house.one.say(DOWN, DOWN)
    house.two.say("{}", asyncio.CancelledError())  # its worker dies over the repair
    with pytest.raises(asyncio.CancelledError):
        await house.ask(fallback=["two:plain"], schema=LINES)
    house.one.say('{"lines": ["one is back"]}')
    house.two.say('{"lines": ["a"]}')
    answer = await house.ask(fallback=["two:plain"], schema=LINES)
    assert (answer.value, answer.model) == ({"lines": ["a"]}, "two:plain")
    assert (len(house.one.asked), len(house.two.asked)) == (2, 3)
    await house.in_balance()


# vectors


async def test_vectors_come_in_batches_and_are_paid(house):
    texts = [f"text {number}" for number in range(300)]
    vectors = await house.models.gateway.embed(house.caller(), texts, embedder="one:vectors")
    assert len(vectors) == 300
    assert [len(batch) for batch in house.vectors.batches] == [256, 44]
    assert sum(row.cost_nano for row in await house.attempts()) == 300 * 3 * 10_000
    await house.in_balance()


async def test_too_few_or_wrong_vectors_are_asked_for_again(house):
    from codex32 import Embedded

    house.vectors.ready.extend([Embedded([[1.0, 0.0]], 3), Embedded([[1.0]] * 2, 3)])
    vectors = await house.models.gateway.embed(house.caller(), ["a", "b"], embedder="one:vectors")
    assert len(vectors) == 2
    assert len(house.vectors.batches) == 3


async def test_a_batch_that_is_too_long_for_a_service_is_halved(house):
    house.vectors.ready.append(ModelFault("context_too_long", "too much", status=413))
    await house.models.gateway.embed(house.caller(), ["a", "b", "c"], embedder="one:vectors")
    assert house.vectors.batches == [["a", "b", "c"], ["a"], ["b", "c"]]


async def test_a_text_that_its_embedder_does_not_read_whole_is_embedded_in_windows(house):
    house.vectors.context_tokens = 50
    long = " ".join(f"word{number}" for number in range(60))
    vectors = await house.models.gateway.embed(
        house.caller(), ["short", long, "brief"], embedder="one:vectors"
    )
    assert vectors == [[1.0, 0.0]] * 3
    (batch,) = house.vectors.batches
    assert (batch[0], batch[-1]) == ("short", "brief")
    assert "".join(batch[1:-1]) == long
    # A word and its number are two tokens, and two are put around.
    assert all(len(window.split()) * 2 + 2 <= 50 for window in batch)


async def test_what_this_machine_cannot_do_in_time_is_done_in_parts(make_house):
    house = make_house(rules=Rules(call_seconds=0.05))
    house.vectors.endpoint, house.vectors.free = "", True
    embed = house.vectors.embed

    async def slowly(texts, **how):
        vectors = await embed(texts, **how)
        if len(texts) > 2:
            await asyncio.sleep(60)
        return vectors

    house.vectors.embed = slowly
    vectors = await house.models.gateway.embed(
        house.caller(), ["a", "b", "c", "d", "e"], embedder="one:vectors"
    )
    assert len(vectors) == 5
    assert [len(each) for each in house.vectors.batches] == [5, 2, 3, 1, 2]


async def test_a_single_text_that_a_service_finds_too_long_is_halved(house):
    house.vectors.ready.append(ModelFault("context_too_long", "too much", status=400))
    text = "a sentence of some words. " * 20
    (vector,) = await house.models.gateway.embed(house.caller(), [text], embedder="one:vectors")
    assert vector == pytest.approx([1.0, 0.0])
    assert ["".join(batch) for batch in house.vectors.batches] == [text, text]
    house.vectors.ready.append(ModelFault("context_too_long", "too much", status=400))
    with pytest.raises(ModelFault, match="too much"):
        await house.models.gateway.embed(house.caller(), ["short"], embedder="one:vectors")


async def test_an_embedder_that_bills_must_be_allowed(house):
    with pytest.raises(CapabilityRefused, match=r"one:vectors is not in allow.models"):
        await house.models.gateway.embed(house.caller(models=()), ["a"], embedder="one:vectors")


async def test_a_call_of_a_tool_that_nobody_offered_is_no_answer(house, said):
    house.one.say(said(text="", calls=(ToolCall("c", "search", {}),)), "yes")
    assert (await house.ask()).text == "yes"
    assert [row.fault for row in await house.attempts()] == [None, None]
    assert len(house.one.asked) == 2
    await house.in_balance()


async def test_a_request_that_was_not_sent_before_its_time_was_over_costs_nothing(house):
    house.models.rules = Rules(call_seconds=0.4)

    async def complete(request, *, timeout_seconds, key):
        await asyncio.sleep(timeout_seconds)
        raise ModelFault("timeout", "the client was not ready")  # so it is after a cold start
        yield

    house.one.complete = complete
    with pytest.raises(ModelFault, match="the client was not ready"):
        await house.ask()
    assert {row.state for row in await house.attempts()} == {"released"}
    assert (await house.budgets())["house 2026-01"] == (0, 0)


async def test_a_schema_that_a_service_cannot_keep_says_nothing_of_others(house):
    house.one.say(ModelFault("unsupported", "it keeps no maps"), '{"lines": ["a"]}')
    house.one.say('{"lines": ["b"]}')
    for line in ("a", "b"):
        answer = await house.ask(model="one:strict", schema=LINES)
        assert answer.value == {"lines": [line]}
    first, stepped_down, other = house.one.asked
    assert first.schema is not None
    assert stepped_down.schema is None
    assert other.schema is not None


async def test_half_a_character_in_what_a_stranger_wrote_hinders_nobody(house):
    # As of an emoji that was cut; two halves of one are that one.
    torn = "cut \ud83d off, \ud83d\ude00 whole"
    call = ToolCall("1", "look", {"torn \ude00": [torn]})
    messages = [
        ModelMessage("user", torn),
        ModelMessage("assistant", "", tool_calls=[call]),
        ModelMessage("tool", torn, tool_call_id="1"),
    ]
    tool = Tool("look", torn, {"type": "object", "description": torn})
    request = CompletionRequest("one:plain", messages, tools=[tool])
    await house.models.gateway.complete(house.caller(), request)
    (asked,) = house.one.asked
    mended = "cut \ufffd off, 😀 whole"
    assert [message.text for message in asked.messages] == [mended, "", mended]
    assert asked.messages[1].tool_calls[0].arguments == {"torn \ufffd": [mended]}
    assert asked.tools[0].schema["description"] == asked.tools[0].description == mended
    await house.models.gateway.embed(house.caller(), [torn], embedder="one:vectors")
    assert house.vectors.batches == [[mended]]


async def test_half_a_character_in_an_answer_does_not_hinder_its_repair(house):
    house.one.say("none \ud83d", '{"lines": ["\ud83d"]}')
    assert (await house.ask(schema=LINES)).value == {"lines": ["\ud83d"]}
    assert "none \ufffd" in house.one.asked[1].messages[-1].text
