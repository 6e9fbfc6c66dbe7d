"""``codex32 bots explain`` and ``diagram``."""

from __future__ import annotations


def test_a_bot_of_the_registry_is_explained_and_drawn(codex32, project) -> None:
    assert codex32("run", "hello").code == 0
    told = codex32("bots", "explain", "hello")
    assert told.code == 0, told.err
    assert "1. works out text" in told.out
    assert "whenever somebody starts it by hand" in told.out
    assert "an execution: 0.0000 USD, by its definition" in told.out
    assert "30 days: unknown, for an unknown number of executions" in told.out
    assert codex32("bots", "explain", "hello", "--json").json["cost"]["month_usd"] is None
    drawn = codex32("bots", "diagram", "hello").out
    assert drawn.startswith("flowchart TD\n")
    assert 's_greet["greet<br/>set"]' in drawn
    assert codex32("bots", "explain", "nobody").code == 3
