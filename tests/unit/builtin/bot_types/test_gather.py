from datetime import UTC, datetime, timedelta

import pytest

from codex32 import Gathered, ManualClock, StepFault, Succeeded, Waiting
from codex32.builtin.bot_types.gather import GatherBotType
from codex32_testing.context import FakeStepContext

BERLIN = {"quiet": "22:00-07:00", "timezone": "Europe/Berlin"}


def at(text: str) -> ManualClock:
    return ManualClock(datetime.fromisoformat(text))


async def due(clock: ManualClock, **params: str) -> datetime:
    context = FakeStepContext()
    await GatherBotType(clock).run(context, {"items": [1], **params})
    ((_, _, due_at),) = context.brought
    return due_at


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-01-05T21:59:59+01:00", "2026-01-05T21:59:59+01:00"),
        ("2026-01-05T22:00:00+01:00", "2026-01-06T07:00:00+01:00"),
        ("2026-01-06T00:30:00+01:00", "2026-01-06T07:00:00+01:00"),
        ("2026-01-06T07:00:00+01:00", "2026-01-06T07:00:00+01:00"),
        # The night in which the clocks are put forward, and the one in which they are put back.
        ("2026-03-28T23:00:00+01:00", "2026-03-29T07:00:00+02:00"),
        ("2026-10-24T23:00:00+02:00", "2026-10-25T07:00:00+01:00"),
    ],
)
async def test_what_comes_in_quiet_hours_is_due_at_their_end(now, then):
    assert await due(at(now), **BERLIN) == datetime.fromisoformat(then)


async def test_quiet_hours_by_day_end_on_the_same_day():
    noon = at("2026-01-05T12:30:00+00:00")
    assert await due(noon, quiet="12:00-13:00") == datetime(2026, 1, 5, 13, tzinfo=UTC)


async def test_a_window_that_ends_in_quiet_hours_ends_with_them():
    evening = at("2026-01-05T21:55:00+01:00")
    assert await due(evening, window="10m", **BERLIN) == datetime(2026, 1, 6, 6, tzinfo=UTC)
    assert await due(evening, window="1m", **BERLIN) == evening.now() + timedelta(minutes=1)


async def test_it_waits_until_they_are_due_and_hands_out_what_is_there():
    when = datetime(2026, 1, 6, 7, tzinfo=UTC)
    context = FakeStepContext(gathered=Gathered(when))
    step, params = GatherBotType(at("2026-01-05T23:00:00+00:00")), {"items": ["a"], "key": "ops"}
    params["window"] = "8h"
    assert await step.run(context, params) == Waiting(until=when)
    context.gathered = Gathered(when, ["a", "b"])
    assert await step.run(context, params) == Succeeded(["a", "b"])
    assert [key for key, _, _ in context.brought] == ["ops", "ops"]


async def test_who_brings_nothing_waits_for_nothing():
    context = FakeStepContext()
    assert await GatherBotType().run(context, {"items": [], "window": "1h"}) == Succeeded([])
    assert context.brought == []


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "needs `window`, `quiet` or both"),
        ({"quiet": "22-7"}, "'22-7' is no span of hours"),
        ({"quiet": "07:00-07:00"}, "no span of hours"),
        ({"quiet": "24:00-07:00"}, "no span of hours"),
        ({"window": "1h", "timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
    ],
    ids=range(5),
)
def test_what_nobody_could_mean_is_a_fault_of_the_file(params, told):
    (fault,) = GatherBotType().check({"items": [], **params})
    assert told in fault.message


async def test_hours_that_come_from_an_expression_are_looked_at_when_they_are_there():
    assert GatherBotType().check({"items": [], "quiet": "${{ inputs.q }}"}) == []
    with pytest.raises(StepFault, match="no span of hours"):
        await due(at("2026-01-05T12:00:00+00:00"), quiet="never")
    with pytest.raises(StepFault, match="no time zone"):
        await due(at("2026-01-05T12:00:00+00:00"), quiet="22:00-07:00", timezone="Moon")
