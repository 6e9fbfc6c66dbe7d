import json

from benchmarks.report import flat, table, write

PARTIAL = {"environment": {"at": "2026-01-05T12:00:00+00:00"}, "idle": {"cpu_percent": 1.5}}
WHOLE = {**PARTIAL, "ratios": {"api_sqlite": 2.0}, "latency_ms": {"p50": 4.0}}


def test_columns_are_as_wide_as_their_widest_cell():
    told = table([("", "rate", "cpu"), ("bare", "1234567", "a, b")])
    assert told.splitlines() == ["         rate  cpu", "bare  1234567  a, b"]


def test_nested_figures_stand_on_a_line_each():
    lines = flat({"idle": {"rss": {"total": 3}, "cpu": 1.5}})
    assert [line.split() for line in lines] == [["idle.rss.total", "3"], ["idle.cpu", "1.5"]]


def test_every_result_is_kept_under_its_time(tmp_path):
    path = write(tmp_path / "results", PARTIAL)
    assert path.name == "20260105T120000Z.json"
    assert json.loads(path.read_text()) == PARTIAL


def test_a_whole_result_is_the_latest_and_a_part_of_one_is_not(tmp_path):
    write(tmp_path, WHOLE)
    write(tmp_path, PARTIAL)
    assert json.loads((tmp_path / "latest.json").read_text()) == WHOLE
