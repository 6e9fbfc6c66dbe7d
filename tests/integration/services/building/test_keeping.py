"""A bot that is refined or mended keeps its tests, pytest among them, and they are run again."""

from functools import partial

import pytest
import yaml
from codex32_shares import ABOUT, RAISED, SHARES, mended, record

from codex32.services.bots import bots
from codex32.services.bots.written import API, FILE, Written
from codex32.services.building.accepting import Acceptance
from codex32_testing.model_server.builders import builder_model

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HALVES = """\
def test_halves(step_main):
    assert step_main("shares", "share")(n=2) == 5
"""
NOBODY = """

def test_nobody(step_main):
    assert step_main("shares", "share")(n=0) == 0
"""
TWO = {
    "name": "two of them",
    "inputs": {"n": 2},
    "expect": {"output": 5, "effects": [{"step": "tell", "with": {"text": "5"}}]},
}


def store(house, origin, source=None, *, test=TWO, **more):
    text = f"{SHARES}tests: {yaml.safe_dump([test], default_flow_style=True, width=999)}"

    def write():
        bot = house.runtime.reader.read_text(text).only_bot()
        written = Written.of(bot, text, origin, source, **more)
        house.runtime.registry.store(written, house.runtime.clock.micros())

    return house.door.write(write)


async def live(house):
    row = await house.door.read(partial(bots.there, "shares", workspace="default"))
    return await house.door.read(bots.version_of, row.active_version_id)


def ran(shown):
    return {each["name"]: each["passed"] for each in shown["proof"]["tests"]}


def about_tests(shown):
    return {each["text"] for each in shown["changes"] if each["about"] == "test"}


async def test_a_mended_bot_passes_the_pytest_beside_its_file_and_drops_none_of_it(
    house, tmp_path
):
    (tmp_path / "test_shares.py").write_text(HALVES)
    await store(house, FILE, str(tmp_path / "shares.yaml"))
    step = ("share", "failed", {"args": {"n": 0}}, None, RAISED)
    told = partial(record, "shares", "failed", {"n": 0}, step, message=RAISED["message"])
    failed = await house.door.write(told)

    def learning(request, said):
        """Breaks what went well, then drops its test, then does as it is told."""
        if not request.again:
            return {**said, "yaml": said["yaml"].replace("10 // n if n else 0", "0")}
        if "fails on the bot" in request.user:
            return {**said, "python": NOBODY}
        assert "test_halves is there: keep it" in request.user
        return {**said, "python": HALVES + NOBODY}

    house.server.ask(builder_model([mended()], learning))
    session = await house.builder.repair(failed, house.caller)
    session = await house.builder.run(session.id, "default")
    assert (session.status, session.message) == ("ready", "")
    assert len(house.server.asked) == 3
    assert "def test_halves" in str(house.server.asked[0].body)
    shown = await house.door.read(house.builder.presenter.draft, session)
    assert ran(shown) == {
        "two of them": True,
        f"does not fail as {failed} did": True,
        "test_shares.py::test_halves": True,
        "test_shares.py::test_nobody": True,
    }
    assert shown["python"] == HALVES + NOBODY
    assert "pytest test_nobody was added" in about_tests(shown)


async def test_a_refined_bot_keeps_the_tests_that_a_model_leaves_out(house):
    await store(house, API, python_tests=HALVES)
    three = {"name": "three of them", "inputs": {"n": 3}, "expect": {"output": 3}}
    solved = mended(labels={"team": "sales"})
    solved = type(solved)(**{**vars(solved), "tests": [three], "pytest": ""})
    house.server.ask(builder_model([solved], lambda request, said: said))
    session = await house.builder.begin(ABOUT, house.caller, bot="shares")
    session = await house.builder.run(session.id, "default")
    assert (session.status, session.message) == ("ready", "")
    shown = await house.door.read(house.builder.presenter.draft, session)
    assert list(ran(shown)) == ["two of them", "three of them", "test_shares.py::test_halves"]
    assert shown["python"] == HALVES
    assert about_tests(shown) == {"test three of them was added"}
    await house.builder.accept(Acceptance(session.id, shown["digest"]), house.caller)
    version = await live(house)
    assert (version.number, version.python_tests) == (2, HALVES)
    # Whoever edits the bot says nothing of it, and it stays.
    await store(house, API)
    assert ((await live(house)).number, (await live(house)).python_tests) == (3, HALVES)


async def test_a_draft_that_is_proved_once_more_is_told_without_its_tests(house):
    body = {"password": "swordfish"}
    test = {**TWO, "trigger": {"kind": "webhook", "body": body}}
    await store(house, API, test=test, python_tests=HALVES)
    three = {"name": "three of them", "inputs": {"n": 3}, "expect": {"output": 3}}
    solved = mended(labels={"team": "sales"})
    solved = type(solved)(**{**vars(solved), "tests": [three], "pytest": ""})
    house.server.ask(builder_model([solved], lambda request, said: said))
    session = await house.builder.begin(ABOUT, house.caller, bot="shares")
    session = await house.builder.run(session.id, "default")
    assert "swordfish" in session.work.yaml  # it is the person's own file
    session = await house.builder.branch(session.id, "prove", house.caller)
    session = await house.builder.run(session.id, "default")
    assert (session.status, session.message) == ("ready", "")
    assert "swordfish" not in house.prompts
