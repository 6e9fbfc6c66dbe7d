"""What was promised, beside what was measured: every figure with its bound, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DATABASES = ("postgresql", "sqlite")
_MEGABYTES = 1.048576  # a MiB


@dataclass(frozen=True, slots=True)
class Wanted:
    """A figure and its bound.

    Attributes:
      find: The figure in a result; raises KeyError where it was not measured.
      bound: It must not be above it, or below it where ``least`` is set.
    """

    what: str
    find: Callable[[Mapping[str, Any]], float]
    bound: float
    least: bool = False

    def row(self, result: Mapping[str, Any]) -> tuple[str, str, str, str]:
        """A line of the table."""
        found = self.find(result)
        kept = found >= self.bound if self.least else found <= self.bound
        sign = "≥" if self.least else "≤"
        return self.what, f"{found:.4g}", f"{sign} {self.bound:g}", "" if kept else "missed"


def _at(*names: str, times: float = 1.0) -> Callable[[Mapping[str, Any]], float]:
    def find(result: Mapping[str, Any]) -> float:
        found: Any = result
        for name in names:
            found = found[name]
        return float(found) * times

    return find


def _most(*names: str) -> Callable[[Mapping[str, Any]], float]:
    """The greatest of the figures under a name."""

    def find(result: Mapping[str, Any]) -> float:
        found: Any = result
        for name in names:
            found = found[name]
        return max(float(each) for each in found.values())

    return find


def _items(result: Mapping[str, Any]) -> float:
    return max(float(each["worker_cpu_ms"]) for each in result["items"].values())


def _all() -> Iterator[Wanted]:
    for processes in ("1p", "2p"):
        for database in _DATABASES:
            name = f"execute_{database}_{processes}"
            yield Wanted(f"{name}, times bare Dramatiq", _at("ratios", name), 2.0, least=True)
    for database in _DATABASES:
        for percent, bound in (("p50", 5.0), ("p99", 25.0)):
            found = _at("latency", database, percent)
            yield Wanted(f"latency when idle, {database}, {percent}, ms", found, bound)
    for database in _DATABASES:
        found = _at("steps", database, "time")
        yield Wanted(f"three steps, {database}, times one step", found, 2.2)
    yield Wanted("an item of foreach, worker CPU, ms", _items, 0.25)
    for database in _DATABASES:
        late = _at("schedules", f"{database}_1_schedulers", "last_fired_late_seconds", "median")
        yield Wanted(f"last of the schedules due at once, {database}, s late", late, 2.0)
    for database in _DATABASES:
        rest = _at("schedules", f"{database}_rest_cpu_percent")
        yield Wanted(f"stored schedules at rest, {database}, % of a core", rest, 5.0)
    for database in _DATABASES:
        kept = _at("history", database, "rate_kept")
        yield Wanted(f"rate kept with a long history, {database}", kept, 0.9, least=True)
        slowest = _most("history", database, "look_ms")
        yield Wanted(f"slowest list with a long history, {database}, ms", slowest, 50.0)
    for database in _DATABASES:
        ratio = _at("requests", database, "ratio", "median")
        what = f"POST /api/v1/executions, {database}, times a bare handler"
        yield Wanted(what, ratio, 0.5, least=True)
        slowest = _most("requests", database, "bots_listed_ms")
        yield Wanted(f"slowest list of 10,000 bots over HTTP, {database}, ms", slowest, 50.0)
    for database in _DATABASES:
        for way, bound in (("counted", 0.9), ("traced", 0.8), ("with_events", 0.95)):
            kept = _at("observability", database, way)
            yield Wanted(f"rate kept when {way}, {database}", kept, bound, least=True)
    for sandbox in ("namespace", "process"):
        for kind, bound in (("warm", 5.0), ("cold", 60.0)):
            found = _at("sandbox", sandbox, kind, "p50_ms")
            yield Wanted(f"a {kind} Python step over its work, {sandbox}, p50, ms", found, bound)
    yield Wanted("idle system, % of a core", _at("idle", "cpu_percent"), 2.0)
    for kind, told in (("rss", "each page once a process"), ("pss", "each page once")):
        memory = _at("idle", f"{kind}_mib", "total", times=_MEGABYTES)
        yield Wanted(f"idle system, memory, MB ({told})", memory, 300.0)
    yield Wanted("start to ready, s", _at("idle", "start_to_ready_seconds"), 3.0)


ALL = tuple(_all())


def table(result: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """The lines of the terminal's table, the head first; what was not measured has none."""
    yield "what", "measured", "wanted", ""
    for each in ALL:
        try:
            row = each.row(result)
        except KeyError:
            continue
        yield row
