import pytest

from codex32.api.rates import Limiter, TooManyRequests


def test_rates_that_nobody_limits_and_callers_that_are_forgotten():
    now = [0.0]
    limiter = Limiter({"normal": 1, "start": None}, lambda: now[0])
    assert limiter.take("start", "a") is None
    for number in range(10_001):
        limiter.take("normal", str(number))
    assert len(limiter._full_at) <= 10_000


def test_a_minutes_worth_may_come_at_once_and_comes_back_one_by_one():
    now = [0.0]
    limiter = Limiter({"normal": 60}, lambda: now[0])
    for left in reversed(range(60)):
        assert limiter.take("normal", "a").remaining == left
    with pytest.raises(TooManyRequests) as raised:
        limiter.take("normal", "a")
    assert raised.value.retry_after_seconds == pytest.approx(1.0)
    assert limiter.take("normal", "b").remaining == 59
    now[0] = 1.0
    assert limiter.take("normal", "a").remaining == 0
