"""One measured stretch of work: how long it took, and what each role spent on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.processes import cpu_seconds

#: Executions before the first that is measured: imports, caches, prepared statements.
WARM_UP = 300


@dataclass
class Drive:
    """``count`` executions from the first submission to the last recorded end.

    Attributes:
      submit_seconds: Until the last submission was answered.
      seconds: Until the last end was seen.
      cpu_ms: CPU an execution, by role.
    """

    count: int
    began: float
    _cpu: dict[str, float]
    submit_seconds: float = 0.0
    seconds: float = 0.0
    cpu_ms: dict[str, float] = field(default_factory=dict)

    @classmethod
    def begin(cls, count: int, postgresql_pid: int | None) -> Drive:
        """Start the clocks."""
        spent = cpu_seconds(postgresql_pid)
        return cls(count, time.perf_counter(), spent)

    def submitted(self) -> None:
        """Everything has been submitted."""
        self.submit_seconds = time.perf_counter() - self.began

    def end(self, postgresql_pid: int | None) -> Drive:
        """Stop the clocks: everything has ended."""
        self.seconds = time.perf_counter() - self.began
        spent = cpu_seconds(postgresql_pid)
        for role, total in spent.items():
            self.cpu_ms[role] = round((total - self._cpu.get(role, 0.0)) / self.count * 1e3, 4)
        return self

    @property
    def rate(self) -> float:
        """Executions a second."""
        return self.count / self.seconds

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "executions": self.count,
            "rate": round(self.rate, 1),
            "submit_rate": round(self.count / self.submit_seconds, 1),
            "seconds": round(self.seconds, 3),
            "cpu_ms": {role: ms for role, ms in self.cpu_ms.items() if ms > 0},
        }
