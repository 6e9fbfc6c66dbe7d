"""``codex32 build``: the conversation, where nobody looks on, and the measure of a model."""

from __future__ import annotations

import pytest
from codex32_descriptions import corpus

from codex32_testing.model_server import ModelServer
from codex32_testing.model_server.builders import PERSONALITIES, builder_model

TEA = next(each for each in corpus() if each.name == "tea-price")


@pytest.fixture(autouse=True)
def building(model: ModelServer) -> None:
    """The model builds well."""
    model.ask(builder_model(corpus(), PERSONALITIES["competent"]))


def test_a_draft_waits_for_a_word_and_is_undone_by_another(codex32) -> None:
    answer = codex32("build", TEA.description, "--json")
    assert answer.code == 5, answer.err
    told = answer.json
    assert (told["status"], told["draft"]["merged"]) == ("ready", None)
    assert "error" in codex32("build", "accept", told["id"], "--digest", "0" * 64).err
    accepted = codex32("build", "accept", told["id"], "--json").json
    assert (accepted["status"], accepted["accepted"]["enabled"]) == ("accepted", False)
    assert TEA.name in codex32("bots", "list").out
    assert codex32("run", TEA.name).code != 0
    for word, enabled in (("enable", True), ("disable", False)):
        assert codex32("bots", word, TEA.name, "--json").json["enabled"] is enabled
        shown = codex32("bots", "show", TEA.name, "--json").json
        assert shown["enabled"] is enabled
    undone = codex32("build", "undo", told["id"]).out
    assert "undone" in undone
    assert "tea.json" not in undone
    listed = codex32("build", "list", "--json").json["sessions"]
    assert [each["status"] for each in listed] == ["undone"]
    shown = codex32("build", "show", told["id"]).out
    for each in ("tea.json", "flowchart TD", "hosts: shop.example.com", "4 of 4 tests pass"):
        assert each in shown


def test_a_model_is_measured_over_the_descriptions_that_come_along(codex32) -> None:
    answer = codex32("build", "eval", "-k", TEA.name, "--yes", "--json")
    assert answer.code == 0, answer.err
    told = answer.json
    assert (told["built"], told["of"]) == (1, 1)
    assert told["descriptions"][0]["wrong"] == []
    assert codex32("bots", "list", "--json").json["bots"] == []


def test_whoever_tells_a_secret_hears_that_no_model_does(codex32, model) -> None:
    told = codex32("build", "--budget", "0", f"{TEA.description} The password is hunter2222.")
    assert "codex32 secrets set" in told.err
    assert not model.asked
    assert "secrets set" not in codex32("build", TEA.description, "--budget", "0").err


@pytest.mark.parametrize("said", ["", "  \n"])
def test_nothing_is_no_description(codex32, model, said) -> None:
    assert codex32("build", said).code == 2
    assert not model.asked


@pytest.mark.parametrize("budget", ["nan", "inf", "-1"])
def test_a_budget_that_is_no_amount_is_a_fault_of_who_wrote_it(codex32, model, budget) -> None:
    told = codex32("build", TEA.description, "--budget", budget)
    assert (told.code, model.asked) == (2, ())
    assert "Invalid value for '--budget'" in told.err


def test_a_command_that_there_is_not_is_no_description(codex32, model: ModelServer) -> None:
    told = codex32("build", "resum")
    assert told.code == 2
    assert "there is no command 'resum' (did you mean 'resume'?)" in told.err
    assert not model.asked
    assert codex32("build", "list", "--json").json["sessions"] == []
