"""The books themselves: they balance in peace, and every kind of fault shows in them."""

from __future__ import annotations

import pytest
from codex32_houses import until
from codex32_violence import bots
from codex32_violence.accounting import account
from codex32_violence.arena import Arena
from codex32_violence.world import Effect

pytestmark = pytest.mark.fault


def test_in_peace_the_books_balance(arena: Arena) -> None:
    arena.open(workers=1)
    arena.add("tick")
    arena.load.submit([name for name in bots.EFFECTS if name != "tick"] * 3)
    until(lambda: arena.rows.ask("SELECT count(*) FROM occurrence")[0][0] >= 3, "three ticks")
    books = arena.close_books()
    books.check()
    assert books.counts["counted"] == 3
    assert books.counts["occurrences"] >= 3
    assert books.counts["sent again"] == 0


HARM = {
    "UPDATE execution SET status = 'failed' WHERE id = '{one}'": "is final, and became failed",
    "DELETE FROM attempt WHERE execution_id = '{one}'": "made 1 attempts, recorded are []",
    "DELETE FROM step WHERE execution_id = '{one}'": "recorded nowhere",
    "UPDATE execution SET status = 'running' WHERE id = '{one}'": "stands at running for ever",
    "UPDATE execution SET id = 'other' WHERE id = '{one}'": "was acknowledged and is lost",
}


@pytest.mark.parametrize("arena", ["sqlite"], indirect=True)
def test_what_is_wrong_is_found(arena: Arena) -> None:
    arena.open(workers=1, only=("send",))
    arena.load.submit(["send"] * 2)
    arena.settle()
    arena.account().check()
    one, _ = arena.load.acknowledged.values()
    for harm, told in HARM.items():
        arena.rows.ask(harm.format(one=one))
        assert any(told in fault for fault in arena.account().faults), harm


def test_effects_that_are_missing_or_doubled_are_found(arena: Arena) -> None:
    arena.open(workers=1, only=("send", "keyed"))
    arena.load.submit(["send", "keyed"])
    arena.settle()
    sent, keyed = (f"{each}/send" for each in arena.load.acknowledged.values())
    reached = arena.world.effects()

    def faults(**changed: Effect) -> list[str]:
        told = {**reached, sent: changed.get("sent", reached[sent])}
        told[keyed] = changed.get("keyed", reached[keyed])
        told = {key: effect for key, effect in told.items() if effect.count}
        ids = arena.load.acknowledged.values()
        return account(arena.rows, list(ids), told, bots.EFFECTS).faults

    assert faults() == []
    assert faults(sent=Effect(2, frozenset())) == [f"{sent} was sent 2 times"]
    assert "never reached the world" in faults(sent=Effect(0, frozenset()))[0]
    assert "with 2 idempotency keys" in faults(keyed=Effect(2, frozenset("ab")))[0]
