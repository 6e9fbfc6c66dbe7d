"""Processes under measurement: what they cost, and noticing when one dies."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from codex32.outside.children import Children

ROOT = Path(__file__).parents[1]
#: What is not there after this long has gone wrong.
PATIENCE_SECONDS = 180.0
#: Roles by the words of a command line that give them away.
_ROLES = {
    "redis-server": "redis",
    "serve": "api",
    "scheduler": "scheduler",
    "worker": "workers",
    "dramatiq": "workers",
    "huey.bin.huey_consumer": "workers",
}


@contextmanager
def children(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], log: Path
) -> Iterator[Children]:
    """Run commands while the block runs; one that ends early fails the benchmark."""

    def died(name: str, code: int, _pause: float) -> None:
        told = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{name} ended with {code}: {told}")

    with log.open("wb") as output:
        started = Children(died, environment, output.fileno())
        try:
            for name, command in commands.items():
                started.start(name, command)
            yield started
        finally:
            started.stop(30.0)


def wait(what: str, there: Callable[[], bool], processes: Children) -> None:
    """Wait until ``there()``.

    Raises:
      RuntimeError: A process died, or it took more than ``PATIENCE_SECONDS``.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not there():
        processes.look()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} took more than {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.01)


def cpu_seconds(postgresql_pid: int | None) -> dict[str, float]:
    """CPU time so far by role: this process is ``submitter``, the others are its children."""
    spent = defaultdict(float, submitter=time.process_time())
    for process, role in tree(psutil.Process()):
        spent[role] += _cpu(process)
    if postgresql_pid is not None:
        server = psutil.Process(postgresql_pid)
        for process in [server, *server.children(recursive=True)]:
            spent["postgresql"] += _cpu(process)
    return spent


def tree(root: psutil.Process) -> Iterator[tuple[psutil.Process, str]]:
    """The processes below ``root`` with their roles."""
    for process in root.children(recursive=True):
        try:
            # Redis writes a line of its own over its arguments, so its name is asked for, too.
            words = {process.name(), *(Path(word).name for word in process.cmdline())}
        except psutil.NoSuchProcess:
            continue
        yield process, next((role for word, role in _ROLES.items() if word in words), "others")


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
