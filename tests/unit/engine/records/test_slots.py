"""Slots of rate limits, held to a model that remembers every start."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from codex32.engine.records.slots import Rule, Slots
from codex32.kernel.json_values import dumps, loads

SECOND = 1_000_000
NOON = 1_767_614_400 * SECOND

rules = st.builds(
    Rule,
    limit=st.integers(1, 12),
    per_micros=st.sampled_from([50_000, SECOND, 60 * SECOND, 3600 * SECOND]),
)
#: How long after the last one somebody asks, in parts of the rule's time; how late it starts, in
#: parts of the grace; whether it gives its slot back.
askers = st.lists(
    st.tuples(st.floats(0, 1.5) | st.just(0.0), st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=80,
)


def stored(slots: Slots) -> Slots:
    """As another process reads it."""
    return Slots(**loads(dumps(slots.as_json())), asked_at=slots.asked_at, free_at=slots.free_at)


def most_in(starts: list[int], per_micros: int) -> int:
    """The most starts in any half-open window of that length."""
    starts = sorted(starts)
    return max(sum(a <= each < a + per_micros for each in starts) for a in starts)


@given(rules, askers)
@settings(max_examples=300, deadline=None)
def test_no_window_ever_holds_more_starts_than_the_rule_says(rule, asks):
    slots, now, starts = Slots(), NOON, []
    for pause, late, gives_back in asks:
        now += int(pause * rule.per_micros)
        slots = stored(slots)
        slot = slots.take(rule, now)
        assert slot >= now
        if gives_back and slot > now:
            slots.give_back(slot, now)
        else:
            starts.append(slot + int(late * rule.grace_micros))
    assert not starts or most_in(starts, rule.per_micros) <= rule.limit


@dataclass
class Model:
    """Remembers every slot, and knows what the next one may be at the earliest."""

    slots: list[int] = field(default_factory=list)

    def earliest(self, rule: Rule, now: int) -> int:
        behind = self.slots[-1:]
        full = [each + rule.apart_micros for each in self.slots[-rule.limit :][:1]]
        return max([now, *behind, *(full if len(self.slots) >= rule.limit else [])])


@given(rules, askers)
@settings(max_examples=300, deadline=None)
def test_nobody_waits_for_longer_than_the_rule_wants(rule, asks):
    slots, model, now = Slots(), Model(), NOON
    for pause, _, _ in asks:
        now += int(pause * rule.per_micros)
        earliest = model.earliest(rule, now)
        assert slots.next_free(rule, now) - earliest <= rule.per_micros // 64
        slot = slots.take(rule, now)
        assert 0 <= slot - earliest <= rule.per_micros // 64
        model.slots.append(slot)


@given(st.lists(st.tuples(rules, st.integers(0, 30 * SECOND)), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_each_asks_by_its_own_rule_and_behind_those_who_asked_before(asks):
    # As if each rule had asked before: what no rule needed to remember, a new one cannot know.
    rules = [rule for rule, _ in asks]
    most = max(rule.limit for rule in rules)
    slots = Slots(most=most, longest=max(rule.apart_micros for rule in rules))
    now, taken = NOON, []
    for rule, pause in asks:
        now += pause
        slot = slots.take(rule, now)
        assert not taken or slot >= taken[-1]
        taken.append(slot)
        assert sum(slot - rule.per_micros < each <= slot for each in taken) <= rule.limit


def test_the_whole_limit_starts_at_once_and_the_rest_a_time_later():
    slots, rule = Slots(), Rule(3, 60 * SECOND)
    asked = [slots.take(rule, NOON) - NOON for _ in range(7)]
    assert asked == [0, 0, 0, 61 * SECOND, 61 * SECOND, 61 * SECOND, 122 * SECOND]


def test_a_slot_that_was_given_back_goes_to_the_next():
    slots, rule = Slots(), Rule(1, 60 * SECOND)
    first, *waiting = [slots.take(rule, NOON) for _ in range(1000)]
    for slot in reversed(waiting):
        slots.give_back(slot, NOON)
    later = NOON + SECOND
    assert first == NOON
    assert slots.next_free(rule, later) == waiting[0]
    assert [slots.take(rule, later) for _ in range(3)] == waiting[:3]


def test_a_clock_that_is_set_back_holds_nobody_up():
    slots, rule, day = Slots(), Rule(2, 60 * SECOND), 86_400 * SECOND
    ahead = [slots.take(rule, NOON + day) for _ in range(3)]
    assert ahead[-1] == NOON + day + 61 * SECOND
    assert slots.take(rule, NOON) - NOON == 61 * SECOND
    assert slots.free_at < NOON + 200 * SECOND


def test_the_memory_of_a_great_limit_is_short():
    slots, rule = Slots(), Rule(1_000_000, 60 * SECOND)
    now = NOON
    for _ in range(20_000):
        now += 10_000
        slots.take(rule, now)
    assert len(slots.taken) < 100
    slow = Rule(1_000_000, SECOND // 10)
    for _ in range(20_000):
        now += SECOND
        slots.take(slow, now)
    assert len(slots.taken) < 100


def test_rules_that_share_a_key_and_differ_much_do_not_fill_the_memory():
    slots, now = Slots(), NOON
    for _ in range(5000):
        now += SECOND
        slots.take(Rule(100_000, SECOND), now)
        slots.take(Rule(1_000_000, 86_400 * SECOND), now)
    assert len(slots.taken) <= 1001
