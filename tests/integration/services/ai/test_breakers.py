"""Breakers as those see them who watch the house: open, half open, closed, by provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from codex32.kernel.clock import Clock
from codex32.kernel.contracts.board import LocalBoard
from codex32.kernel.database import Door
from codex32.kernel.metric_rows import BreakerRow
from codex32.kernel.model_errors import FaultKind, ModelFault
from codex32.services.ai import breakers
from codex32.services.ai.breakers import Breakers, Deployment

DOWN = ModelFault("server", "down")


class Hands(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def on(self, **more: float) -> None:
        self.at += timedelta(**more)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def board(clock: Hands) -> LocalBoard:
    return LocalBoard(lambda: clock.at.timestamp())


def of(provider: str = "one", model: str = "m") -> Deployment:
    return Deployment(provider, "https://models.example", model, "a key")


async def told(door: Door, clock: Hands) -> dict[tuple[str, str], int]:
    await door.write(lambda: None)  # what was posted is written
    return dict(await door.read(breakers.standing, clock.micros()))


async def fail(breaker: Breakers, deployment: Deployment, times: int = 3) -> None:
    for _ in range(times):
        await breaker.failed(deployment, DOWN)


async def test_a_breaker_is_open_then_half_open_and_gone_when_it_closes(
    door: Door, clock: Hands, board: LocalBoard
) -> None:
    breaker = Breakers(board, clock, door)
    await fail(breaker, of(), 2)
    assert await told(door, clock) == {}
    await fail(breaker, of(), 1)
    assert await told(door, clock) == {("one", "open"): 1}
    clock.on(seconds=3)
    assert await told(door, clock) == {("one", "half_open"): 1}
    await fail(breaker, of(), 1)  # the one that tried
    assert await told(door, clock) == {("one", "open"): 1}
    clock.on(seconds=5)
    await breaker.succeeded(of())
    assert await told(door, clock) == {}


async def test_those_of_a_provider_count_together_whatever_models_a_bot_asks_for(
    door: Door, clock: Hands, board: LocalBoard
) -> None:
    breaker = Breakers(board, clock, door)
    for number in range(20):
        await fail(breaker, of(model=f"model-{number}\0"))
    await fail(breaker, of("other"))
    assert await told(door, clock) == {("one", "open"): 20, ("other", "open"): 1}
    clock.on(hours=1)
    assert await told(door, clock) == {}
    await fail(breaker, of("third"))
    await told(door, clock)
    assert await door.read(lambda: [row.provider for row in BreakerRow.select()]) == ["third"]


async def test_another_process_closes_it_and_so_does_one_whose_board_was_lost(
    door: Door, clock: Hands, board: LocalBoard
) -> None:
    one, other = Breakers(board, clock, door), Breakers(board, clock, door)
    await fail(one, of())
    clock.on(seconds=3)
    await other.succeeded(of())
    assert await told(door, clock) == {}

    await fail(one, of())
    await board.wipe([f"{of().name}:{part}" for part in ("until", "trips", "fails", "probe")])
    await one.succeeded(of())
    assert await told(door, clock) == {}


async def test_answers_while_nothing_is_wrong_write_nothing(
    door: Door, clock: Hands, board: LocalBoard
) -> None:
    breaker = Breakers(board, clock, door)
    before = door.writes
    for _ in range(50):
        await breaker.succeeded(of())
    await fail(breaker, of(), 1)
    await breaker.succeeded(of())
    assert door.writes == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("auth", "model-auth"),
        ("quota", "model-quota"),
        ("model_gone", "model-model-gone"),
        ("rate_limited", "model-rate-limited"),
        ("server", "model-unavailable"),
    ],
)
async def test_whoever_asks_meanwhile_is_told_what_it_suffers_from(
    clock: Hands, board: LocalBoard, kind: FaultKind, said: str
) -> None:
    breaker = Breakers(board, clock)
    for _ in range(3):
        await breaker.failed(of(), ModelFault(kind, "no", retry_after_seconds=30))
    rest = await Breakers(board, clock).rest(of(), probe_seconds=5)
    assert rest is not None
    fault = rest.fault("one:m")
    assert fault.fault_code == said
    assert (fault.retryable, fault.retry_after_seconds) == (True, rest.seconds)
    assert "failed lately" in fault.message

    await breaker.succeeded(of())
    assert await breaker.rest(of(), probe_seconds=5) is None
    await fail(breaker, of())  # of something else this time
    rest = await breaker.rest(of(), probe_seconds=5)
    assert rest is not None
    assert rest.fault("one:m").fault_code == "model-unavailable"
