"""Sessions from their beginning to their end: worked on, killed, accepted, undone, refined."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from codex32.api.builder_models import DraftOut
from codex32.kernel.building_rows import BuildRow
from codex32.kernel.errors import BotExists, BotNotFound
from codex32.kernel.fault_points import arm, disarm
from codex32.kernel.json_values import loads
from codex32.services.bots import bots
from codex32.services.bots.authoring import as_yaml
from codex32.services.bots.written import API, Written
from codex32.services.building import accepting, sessions
from codex32.services.building.accepting import Acceptance
from codex32.services.building.faults import BuildConflict, BuilderUnset
from codex32.services.building.outcome import draft_of
from codex32_testing.model_server import Turn
from codex32_testing.model_server.builders import builder_model

pytestmark = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
async def ready(house, described):
    house.is_("competent")
    session = await house.build(described["order-hook"].description)
    assert (session.status, session.message) == ("ready", "")
    return session


async def accept(house, session, shown, **more):
    return await house.builder.accept(Acceptance(session.id, shown, **more), house.caller)


async def undo(house, session):
    runtime, now = house.runtime, house.runtime.clock.micros()
    write = partial(accepting.undo, session.id, runtime.registry, house.caller, now)
    return await house.door.write(write)


async def shown(house, session):
    """The draft, which is as the API has it."""
    draft = await house.door.read(house.builder.presenter.draft, session)
    DraftOut.model_validate(draft)
    return draft


async def digest(house, session):
    return (await shown(house, session))["digest"]


async def refined(house, described, **more):
    """A session in which a model proposes ``more`` for the bot."""
    solved = described["order-hook"]
    said = "Note who looks after it, and that it may speak to desk.example.com."
    wanted = replace(solved, description=said, bot={**solved.bot, **more})
    house.is_("competent", [wanted])
    session = await house.build(said, bot="order-hook")
    assert (session.status, session.message) == ("ready", "")
    return session


async def bot(house, name="order-hook"):
    return await house.door.read(partial(bots.there, name, workspace="default"))


async def test_nothing_is_a_bot_before_somebody_accepts_what_they_saw(house, ready):
    with pytest.raises(BotNotFound):
        await bot(house)
    with pytest.raises(BuildConflict, match="not the one you saw"):
        await accept(house, ready, "0" * 64)
    accepted = await accept(house, ready, await digest(house, ready))
    assert accepted.status == "accepted"
    row = await bot(house)
    assert (row.origin, row.enabled) == ("builder", False)
    assert await accept(house, ready, await digest(house, ready)) == accepted  # sent again
    undone = await undo(house, ready)
    assert undone.status == "undone"
    with pytest.raises(BotNotFound):
        await bot(house)
    with pytest.raises(BuildConflict, match="nothing to undo"):
        await undo(house, ready)


async def test_a_bot_that_is_there_is_not_replaced_by_a_draft_of_its_name(house, ready):
    shown = await digest(house, ready)
    await accept(house, ready, shown, enable=True)
    assert (await bot(house)).enabled
    now = house.runtime.clock.micros()
    other = await house.door.write(
        partial(sessions.branch, ready.id, "prove", house.caller, now, seconds=900.0)
    )
    other = await house.builder.run(other.id, "default")
    assert other.status == "failed"
    assert "already" in other.message


async def test_tests_that_go_on_for_ever_end_with_the_time_of_their_session(house, ready):
    begun = asyncio.Event()

    async def stalls(*_):
        begun.set()
        await asyncio.sleep(600)

    house.builder.stages.prover = stalls
    now = house.runtime.clock.micros()
    branch = partial(sessions.branch, ready.id, "prove", house.caller, now, seconds=3.0)
    other = await house.door.write(branch)
    async with asyncio.timeout(60):
        other = await house.builder.run(other.id, "default")
    assert begun.is_set()
    assert other.status == "failed"
    assert f"codex32 build branch {other.id} --stage prove" in other.message


async def test_refining_changes_what_is_asked_and_undo_brings_the_version_back(house, ready):
    await accept(house, ready, await digest(house, ready), enable=True)
    house.is_("competent")
    session = await house.build(ready.work.description, bot="order-hook")
    assert (session.status, session.message) == ("ready", "")
    draft = await house.door.read(house.builder.presenter.draft, session)
    assert draft["changes"] == []  # nothing else was asked for, and it stays enabled
    accepted = await accept(house, session, draft["digest"])
    row = await bot(house)
    assert row.enabled
    assert row.active_version_id == accepted.work.accepted["version_id"]
    await undo(house, session)
    assert (await bot(house)).active_version_id == session.base_version_id


async def test_a_process_that_dies_before_it_writes_loses_the_stage_and_pays_nothing_twice(
    house, described
):
    house.is_("competent")

    def die() -> None:
        raise RuntimeError("killed")

    session = await house.builder.begin(described["order-hook"].description, house.caller)
    arm("builder.before_writing", die)
    try:
        with pytest.raises(RuntimeError, match="killed"):
            await house.builder.run(session.id, "default")
    finally:
        disarm()
    bought = len(house.server.asked)
    # Its lease has to end first: here it is ended by hand, as time would.
    held = await house.door.read(sessions.get, session.id, "default")
    assert (held.status, held.stage) == ("working", "interpret")
    await house.door.write(partial(sessions.hold, held, 0))
    session = await house.builder.run(session.id, "default")
    assert session.status == "ready"
    assert bought == 1
    stages = [str(each.body).count("Your task: interpret") for each in house.server.asked]
    assert sum(stages) == 1
    await house.in_balance()


async def test_what_is_abandoned_stops_where_it_is(house, described):
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    house.server.reset()

    def slow(path, body):
        loop.call_soon_threadsafe(began.set)

    house.server.ask(slow)
    session = await house.builder.begin(described["order-hook"].description, house.caller)
    work = asyncio.create_task(house.builder.run(session.id, "default"))
    await began.wait()
    now = house.runtime.clock.micros()
    await house.door.write(partial(sessions.abandon, session.id, house.caller, now))
    assert (await work).status == "abandoned"


async def test_without_a_model_nothing_begins(house):
    house.builder.choice = type(house.builder.choice)()
    with pytest.raises(BuilderUnset):
        await house.builder.begin("Anything.", house.caller)


async def test_a_name_that_was_taken_meanwhile_is_refused(house, ready):
    shown = await digest(house, ready)
    store = partial(_store, house, ready)
    await house.door.write(store)
    with pytest.raises(BotExists):
        await accept(house, ready, shown)


def _store(house, session):
    runtime = house.runtime
    taken = draft_of(session, runtime.reader)
    runtime.registry.store(Written.of(taken, "", API), runtime.clock.micros())


def _edit(house):
    """Ada changes the bot by hand, with a comment."""
    runtime = house.runtime
    row = bots.there("order-hook", workspace="default")
    text = as_yaml(bots.version_of(row.active_version_id), runtime.reader)
    text = f"# Ada looks after it.\n{text}timeout: 5m\nlabels: {{team: support}}\n"
    edited = runtime.reader.read_text(text).only_bot()
    runtime.registry.store(Written.of(edited, text, API), runtime.clock.micros())


async def test_what_people_changed_since_is_merged_and_conflicts_are_named(
    house, ready, described
):
    await accept(house, ready, await digest(house, ready), enable=True)
    session = await refined(house, described, labels={"team": "sales", "about": "orders"})
    before = await shown(house, session)
    assert before["merged"] is None
    assert [each["name"] for each in before["changes"]] == ["labels"]
    await house.door.write(partial(_edit, house))
    edited = (await bot(house)).active_version_id
    with pytest.raises(BuildConflict, match="not the one you saw"):
        await accept(house, session, before["digest"])
    draft = await shown(house, session)
    conflict = {"path": "labels.team", "base": None, "mine": "support", "theirs": "sales"}
    assert draft["merged"] == {"version": 2, "conflicts": [conflict]}
    assert [each["paths"] for each in draft["changes"]] == [["labels.about"]]
    await accept(house, session, draft["digest"])
    live = await house.door.read(bots.version_of, (await bot(house)).active_version_id)
    document = loads(live.document)
    assert document["labels"] == {"team": "support", "about": "orders"}
    assert (document["timeout"], document["enabled"]) == ("5m", True)
    assert live.text.startswith("# Ada looks after it.\n")
    await undo(house, session)
    assert (await bot(house)).active_version_id == edited


def _turn(house):
    """Ada lets the bot do otherwise than its tests have it."""
    runtime = house.runtime
    row = bots.there("order-hook", workspace="default")
    document = loads(bots.version_of(row.active_version_id).document)
    steps = [
        {**each, "with": {**each["with"], "text": "quite another"}}
        if each["type"] == "notify"
        else each
        for each in document["steps"]
    ]
    document = {**document, "steps": steps}
    edited = runtime.reader.check_document(document).only_bot()
    runtime.registry.store(Written.of(edited, "", API), runtime.clock.micros())


async def test_a_merge_that_its_tests_do_not_prove_is_not_accepted(house, ready, described):
    await accept(house, ready, await digest(house, ready), enable=True)
    session = await refined(house, described, labels={"about": "orders"})
    await house.door.write(partial(_turn, house))
    edited = (await bot(house)).active_version_id
    with pytest.raises(BuildConflict, match="do not prove both changes together"):
        await accept(house, session, await digest(house, session))
    assert (await bot(house)).active_version_id == edited


async def test_what_does_not_go_together_with_a_changed_bot_is_a_conflict(house, ready, described):
    await accept(house, ready, await digest(house, ready), enable=True)
    tells = {"id": "third", "type": "notify", "with": {"to": "log", "text": "it failed"}}
    session = await refined(house, described, on_failure=[tells])

    def add_another():
        runtime = house.runtime
        row = bots.there("order-hook", workspace="default")
        document = loads(bots.version_of(row.active_version_id).document)
        steps = [*document["steps"], {"id": "third", "type": "set", "with": {}}]
        edited = runtime.reader.check_document({**document, "steps": steps}).only_bot()
        runtime.registry.store(Written.of(edited, "", API), runtime.clock.micros())

    await house.door.write(add_another)
    with pytest.raises(BuildConflict, match="begin another one"):
        await shown(house, session)


async def test_undo_withdraws_a_version_that_waits_to_be_approved(open_house, described):
    house = await asyncio.to_thread(partial(open_house, **{"approvals.capabilities": True}))
    house.is_("competent")
    first = await house.build(described["order-hook"].description)
    await accept(house, first, await digest(house, first))
    now = house.runtime.clock.micros()
    approve = partial(house.runtime.registry.approve, "order-hook", 1, now, by=house.caller)
    await house.door.write(approve)
    allow = {"secrets": ["ORDERS_KEY"], "hosts": ["desk.example.com"]}
    session = await refined(house, described, allow=allow)
    accepted = await accept(house, session, await digest(house, session))
    row = await bot(house)
    assert row.pending_version_id == accepted.work.accepted["version_id"]
    await undo(house, session)
    after = await bot(house)
    assert (after.pending_version_id, after.active_version_id) == (None, row.active_version_id)
    await house.runtime.models.close()
    await house.runtime.leave()


async def test_what_a_model_says_that_no_row_holds_ends_a_session_in_words(house, described):
    def unsayable(request, said):
        return {**said, "yaml": "", "impossible": "no\x00way"} if "yaml" in said else said

    house.server.reset()
    house.server.ask(builder_model([described["tea-price"]], unsayable))
    session = await house.build(described["tea-price"].description)
    assert session.status == "failed"
    assert "cannot be built: no\ufffdway" in session.message


async def test_a_session_that_nobody_worked_on_in_time_says_how_to_go_on(house, described):
    house.is_("competent")
    session = await house.builder.begin(described["order-hook"].description, house.caller)
    late = BuildRow.update(deadline_at=house.runtime.clock.micros())
    await house.door.write(late.where(BuildRow.id == session.id).execute)
    session = await house.builder.run(session.id, "default")
    assert session.status == "failed"
    assert session.message == (
        "it was not done within 900 s (builder.seconds); "
        f"go on with: codex32 build branch {session.id} --stage interpret"
    )
    assert not house.server.asked  # nor is anything paid for
    now = house.runtime.clock.micros()
    again = partial(sessions.branch, session.id, session.stage, house.caller, now, seconds=900.0)
    session = await house.door.write(again)
    session = await house.builder.run(session.id, "default")
    assert session.status in {"asking", "ready"}


async def test_a_model_that_never_keeps_to_the_form_ends_its_session_and_it_is_told_why(house):
    house.server.reset()
    house.server.ask(lambda path, body: Turn(text="[]"))
    session = await house.build("Tell me the price of tea.")
    assert session.status == "failed"
    assert "did not answer as the schema has it" in session.message
    assert len(house.server.asked) == 2  # once, and once more with what was wrong
    await house.in_balance()


async def test_who_was_not_done_in_time_is_told_of_the_last_trouble(house):
    house.server.reset()
    house.server.ask(lambda path, body: Turn(text=""))
    session = await house.builder.begin("Tell me the price of tea.", house.caller)
    soon = house.runtime.clock.micros() + int(5e6)
    late = BuildRow.update(deadline_at=soon).where(BuildRow.id == session.id)
    await house.door.write(late.execute)
    session = await house.builder.run(session.id, "default")
    assert session.status == "failed"
    assert "the last trouble was: openai:gpt-5-mini answered nothing" in session.message
