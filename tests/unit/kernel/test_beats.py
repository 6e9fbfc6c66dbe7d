"""Looks that come together."""

import pytest

from codex32.kernel import beats
from codex32.kernel.beats import until_beat


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(beats.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(beats, "_PHASE", 0.25)
    return now


@pytest.mark.parametrize("asked_at", [0.0, 0.1, 0.3, 0.7, 0.74])
def test_whoever_looks_every_second_and_every_half_wakes_at_once(clock, asked_at):
    clock[0] = asked_at
    assert asked_at + until_beat(1.0) == pytest.approx(0.75)
    clock[0] = 0.5
    assert 0.5 + until_beat(0.5) == pytest.approx(0.75)


def test_whoever_wakes_a_moment_early_does_not_look_twice(clock):
    clock[0] = 0.7499
    assert 0.7499 + until_beat(1.0) == pytest.approx(1.75)
