import os
import re

import pytest

from codex32.kernel.ids import ID_PATTERN, new_id


def test_an_id_names_its_kind_and_fits_the_pattern():
    made = new_id("exe")
    assert made.startswith("exe_")
    assert ID_PATTERN.fullmatch(made)


def test_ids_sort_by_time():
    moments = [0.001, 1.0, 1_700_000_000.0, 1_700_000_000.001, 2_000_000_000.0]
    ids = [new_id("exe", now=lambda moment=moment: moment) for moment in moments]
    assert ids == sorted(ids)


def test_ids_of_one_millisecond_differ():
    assert len({new_id("exe", now=lambda: 1.0) for _ in range(10_000)}) == 10_000


def test_ids_of_one_millisecond_sort_as_they_were_made():
    made = [new_id("exe", now=lambda: 2.0) for _ in range(1000)]
    assert made == sorted(made)


def test_a_forked_process_makes_ids_of_its_own():
    new_id("exe", now=lambda: 3.0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id("exe", now=lambda: 3.0).encode())
        os._exit(0)
    ours = new_id("exe", now=lambda: 3.0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != ours
    os.close(reading)
    os.close(writing)


def test_the_time_is_the_ulid_of_the_specification():
    # The example of https://github.com/ulid/spec: 1469918176385 ms is 01ARYZ6S41.
    made = new_id("exe", now=lambda: 1469918176.3855)
    assert made.startswith("exe_01aryz6s41")


@pytest.mark.parametrize(
    "text",
    ["exe_01ARYZ6S41TSV4RRFFQ69G5FAV", "exe-01aryz6s41", "../etc", "exe_" + "i" * 26, ""],
)
def test_what_is_no_id_does_not_fit_the_pattern(text):
    assert not ID_PATTERN.fullmatch(text)
    assert not re.search(ID_PATTERN, text + "\n")
