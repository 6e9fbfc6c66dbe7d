"""The table of what was promised."""

import json
from pathlib import Path

from benchmarks import wanted

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"


def test_a_figure_beyond_its_bound_is_told_and_one_within_is_not():
    result = {
        "ratios": {"execute_sqlite_1p": 2.1, "execute_sqlite_2p": 1.9},
        "idle": {
            "cpu_percent": 2.5,
            "rss_mib": {"total": 300, "api": 90},
            "pss_mib": {"total": 200},
            "start_to_ready_seconds": 2.0,
        },
        "requests": {"sqlite": {"ratio": {"median": 0.62, "lowest": 0.4}}},
        "observability": {"sqlite": {"counted": 0.93, "traced": 0.7, "with_events": 0.96}},
        "history": {"sqlite": {"rate_kept": 0.95, "look_ms": {"newest": 3.0, "why": 51.0}}},
    }
    lines = {row[0]: row[1:] for row in wanted.table(result)}
    assert lines == {
        "what": ("measured", "wanted", ""),
        "execute_sqlite_1p, times bare Dramatiq": ("2.1", "≥ 2", ""),
        "execute_sqlite_2p, times bare Dramatiq": ("1.9", "≥ 2", "missed"),
        "rate kept with a long history, sqlite": ("0.95", "≥ 0.9", ""),
        "slowest list with a long history, sqlite, ms": ("51", "≤ 50", "missed"),
        "POST /api/v1/executions, sqlite, times a bare handler": ("0.62", "≥ 0.5", ""),
        "rate kept when counted, sqlite": ("0.93", "≥ 0.9", ""),
        "rate kept when traced, sqlite": ("0.7", "≥ 0.8", "missed"),
        "rate kept when with_events, sqlite": ("0.96", "≥ 0.95", ""),
        "idle system, % of a core": ("2.5", "≤ 2", "missed"),
        "idle system, memory, MB (each page once a process)": ("314.6", "≤ 300", "missed"),
        "idle system, memory, MB (each page once)": ("209.7", "≤ 300", ""),
        "start to ready, s": ("2", "≤ 3", ""),
    }


def test_the_newest_whole_result_has_every_ratio_and_every_latency():
    result = json.loads((RESULTS / "latest.json").read_text())
    told = [row[0] for row in wanted.table(result)]
    assert sum("times bare Dramatiq" in what for what in told) == 4
    assert sum("latency" in what for what in told) == 4
