import pytest

from benchmarks.figures import Spread, percentile, ratios

BARE = {"execute_sqlite_1p": "bare_1p"}


def test_the_median_of_a_hundred_samples_is_the_fiftieth():
    assert percentile(list(range(1, 101)), 50) == 50


def test_the_99th_percentile_of_a_hundred_samples_leaves_one_above_it():
    assert percentile(list(range(1, 101)), 99) == 99


def test_a_percentile_of_few_samples_is_one_of_them():
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([7.0], 0) == 7.0


def test_no_samples_have_no_percentile():
    with pytest.raises(ValueError, match="without samples"):
        percentile([], 50)


def test_a_spread_holds_the_middle_and_both_ends():
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)


def test_a_spread_of_an_even_number_of_samples_lies_between_the_middle_ones():
    assert Spread.of([1.0, 2.0, 4.0, 9.0]).median == 3.0


def test_figures_are_written_with_four_digits():
    assert Spread.of([1234.5678, 0.00012345678]).as_dict() == {
        "median": 617.3,
        "min": 0.0001235,
        "max": 1235.0,
    }


def test_a_ratio_compares_within_a_round_alone():
    # Twice as fast in both rounds, though the machine was ten times slower in the second.
    rounds = [
        {"bare_1p": 1000.0, "execute_sqlite_1p": 2000.0},
        {"bare_1p": 100.0, "execute_sqlite_1p": 200.0},
    ]
    assert ratios(rounds, BARE) == {"execute_sqlite_1p": Spread(2.0, 2.0, 2.0)}


def test_a_ratio_tells_how_far_the_rounds_lie_apart():
    rounds = [{"bare_1p": 100.0, "execute_sqlite_1p": rate} for rate in (150.0, 300.0, 200.0)]
    assert ratios(rounds, BARE) == {"execute_sqlite_1p": Spread(2.0, 1.5, 3.0)}


def test_a_round_without_both_slots_is_passed_over():
    rounds = [{"bare_1p": 100.0}, {"bare_1p": 100.0, "execute_sqlite_1p": 50.0}]
    assert ratios(rounds, BARE) == {"execute_sqlite_1p": Spread(0.5, 0.5, 0.5)}
    assert ratios([{"bare_1p": 100.0}], BARE) == {}
