"""Bots from descriptions over the API: real processes, killed midway, and a model's wire."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from codex32_automations import model_settings
from codex32_descriptions import corpus
from codex32_houses import House, UpHouse, living, until

from codex32_testing.model_server import Carriage, ModelServer, Turn
from codex32_testing.model_server.builders import PERSONALITIES, builder_model

BELOW = "/api/v1/intelligent-bots"
TEA = next(each for each in corpus() if each.name == "tea-price")
#: Nothing here waits so long: whoever is answered so late is gone by then.
NEVER = 900.0


class Model:
    """A model that builds well and asks much; it is silent while it is told to be."""

    def __init__(self, server: ModelServer) -> None:
        self.server, self.silent = server, False
        self._right = builder_model(corpus(), PERSONALITIES["endless questions"])
        server.ask(self._answer)

    def _answer(self, path: str, body: Any) -> Turn | None:
        turn = self._right(path, body)
        if turn is None or not self.silent:
            return turn
        return replace(turn, carriage=Carriage(delay_seconds=NEVER))


@pytest.fixture
def model() -> Iterator[Model]:
    with ModelServer() as server:
        yield Model(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Any, model: Model) -> Iterator[House]:
    """The API alone: nothing is executed here."""
    environment = {"CODEX32_SECRET_OPENAI_API_KEY": model.server.key}
    postgres = None
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres_server")
        environment["CODEX32_DATABASE_URL"] = postgres.create()
    with living(UpHouse(tmp_path, environment)) as house:
        settings = {**model_settings(model.server), "builder": {"model": "openai:gpt-5-mini"}}
        (tmp_path / "codex32.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        assert house.cli("db", "upgrade").returncode == 0
        house.serve()
        yield house
    if postgres is not None:
        postgres.drop(environment["CODEX32_DATABASE_URL"])


def begin(house: House) -> str:
    answer = house.post(f"{BELOW}/create-advanced", {"description": TEA.description})
    assert answer.status == 202, answer
    return str(answer.body["id"])


def reach(house: House, session: str, status: str) -> Any:
    def look() -> Any:
        told = house.get(f"{BELOW}/{session}").body
        assert told["status"] != "failed", told["message"]
        return told if told["status"] == status else None

    return until(look, f"{session} {status}", 240)


def again(house: House, number: signal.Signals) -> None:
    """The API ends, and another comes."""
    house.end("api", number)
    house.serve()


@pytest.mark.timeout(600)
def test_a_session_outlives_its_server_and_is_answered_in_any_order(
    house: House, model: Model
) -> None:
    model.silent = True
    session = begin(house)
    until(lambda: model.server.asked, "the model was asked")
    model.silent = False
    again(house, signal.SIGTERM)  # in the middle of the first stage
    told = reach(house, session, "asking")
    first, second, third = (each["id"] for each in told["questions"])
    place = f"{BELOW}/{session}"

    def answer(given: dict[str, str], **more: Any) -> Any:
        return house.post(f"{place}/answer", {"answers": given, **more})

    told = answer({third: "the third"}).body
    assert told["status"] == "asking"
    assert answer({first: "late"}, version=told["version"] - 1).status == 409
    again(house, signal.SIGKILL)  # while it is the person's turn
    answered = {each["id"]: each["answer"] for each in house.get(place).body["questions"]}
    assert answered == {first: None, second: None, third: "the third"}
    model.silent, before = True, len(model.server.asked)
    told = answer({first: "the first"}, proceed=True).body
    assert told["status"] == "working"
    until(lambda: len(model.server.asked) > before, "the model was asked for a draft")
    model.silent = False
    again(house, signal.SIGKILL)  # in the middle of the second stage: its lease has to end
    told = reach(house, session, "ready")
    assert [each["answer"] for each in told["questions"]] == ["the first", None, "the third"]
    assert answer({first: "another"}).status == 409

    branch = house.post(f"{place}/branch", {"stage": "compose"}).body
    assert (branch["parent"], branch["status"]) == (session, "asking")
    assert house.post(f"{BELOW}/{branch['id']}/abandon").body["status"] == "abandoned"

    draft = house.get(f"{place}/draft").body
    assert all(each["passed"] for each in draft["proof"]["tests"])
    assert house.bot(TEA.name) is None
    accept = {"digest": draft["digest"]}
    told = house.post(f"{place}/accept", accept).body
    assert (told["status"], told["accepted"]["enabled"]) == ("accepted", False)
    assert house.bot(TEA.name)["enabled"] is False
    assert house.post(f"{place}/undo").body["status"] == "undone"
    assert house.bot(TEA.name) is None
    assert house.post(f"{place}/undo").status == 409


@pytest.mark.timeout(900)
def test_who_waits_is_told_how_many_come_before(house: House, model: Model) -> None:
    model.silent = True
    sessions = [begin(house) for _ in range(5)]

    def ahead() -> list[int | None]:
        told = [house.get(f"{BELOW}/{each}").body for each in sessions]
        return [each["ahead"] for each in told]

    until(lambda: len(model.server.asked) == 2, "two at a time")
    assert ahead() == [None, None, 0, 1, 2]
    listed = house.get(f"{BELOW}?status=working").body["items"]
    assert [each["ahead"] for each in reversed(listed)] == [None, None, 0, 1, 2]
    model.silent = False
    again(house, signal.SIGTERM)
    for each in sessions:
        reach(house, each, "asking")
    for each in sessions:
        assert house.post(f"{BELOW}/{each}/answer", {"proceed": True}).status == 200
    for each in sessions:
        assert reach(house, each, "ready")["ahead"] is None
