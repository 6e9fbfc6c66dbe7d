from benchmarks.drive import Drive
from benchmarks.throughput import SLOTS, summary, table


def drives(rate):
    """One round in which every slot does ``rate`` a second, and bare Dramatiq a hundred."""
    return {
        slot.name: Drive(1000, 0.0, {}, 1.0, 1000 / (100 if slot.way == "bare" else rate))
        for slot in SLOTS
    }


def test_the_ratios_that_are_judged_have_their_names():
    found = summary([drives(200), drives(300), drives(250)])
    assert found["ratios"] == {
        "execute_postgresql_1p": 2.5,
        "execute_sqlite_1p": 2.5,
        "api_postgresql": 2.5,
        "api_sqlite": 2.5,
        "execute_postgresql_2p": 2.5,
        "execute_sqlite_2p": 2.5,
    }
    assert found["ratio_spreads"]["api_sqlite_2p"] == {"median": 2.5, "min": 2.0, "max": 3.0}


def test_cpu_is_added_up_over_the_roles():
    rounds = [drives(200), drives(200), drives(200)]
    for workers, each in zip((0.25, 0.5, 2.0), rounds, strict=True):
        each["bare_1p"].cpu_ms = {"workers": workers, "redis": 0.125}
    cpu = summary(rounds)["cpu_ms"]
    assert cpu["bare_1p"] == {"total": 0.625, "redis": 0.125, "workers": 0.5}
    assert cpu["execute_sqlite_1p"] == {"total": 0}


def test_the_table_has_a_line_a_slot_and_no_ratio_for_what_others_are_held_against():
    head, *lines = table(summary([drives(200)]))
    assert [line[0] for line in lines] == [slot.name for slot in SLOTS]
    assert {len(line) for line in lines} == {len(head)}
    assert lines[0][1:5] == ("200", "(200-200)", "2.00", "(2.00-2.00)")
    assert lines[2][:5] == ("bare_1p", "100", "(100-100)", "", "")
