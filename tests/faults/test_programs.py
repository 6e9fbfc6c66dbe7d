"""Bots that mean ill: they harm their own executions, and nobody else's."""

from __future__ import annotations

import pytest
from codex32_houses import until
from codex32_violence.arena import Arena

pytestmark = pytest.mark.fault

_PROGRAM = """\
timeout: 3s
steps:
  - id: main
    type: python
    with:
      code: |
        import os, signal, subprocess, sys, time
        def main():
{body}
"""
#: What they do, and how their executions must end.
BAD = {
    "never-returns": ("while True: time.sleep(1)", "timeout"),
    "deaf": (
        "for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
        "    signal.signal(each, signal.SIG_IGN)\n"
        "while True:\n"
        "    try:\n"
        "        time.sleep(1)\n"
        "    except BaseException:\n"
        "        pass",
        "timeout",
    ),
    "forks": (
        "for _ in range(5):\n"
        "    subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        time.sleep(600)\n"
        "time.sleep(600)",
        "timeout",
    ),
    "chatters": (
        "line = 'x' * 1023 + '\\n'\n"
        "for _ in range(1024):\n"
        "    sys.stdout.write(line * 1024)\n"
        "return 'a gigabyte'",
        None,
    ),
    "kills-itself": ("os.kill(os.getpid(), 9)", "error"),
    "answers-too-much": ("return 'x' * 10**9", None),
}


def test_bots_that_mean_ill_harm_nobody_else(arena: Arena) -> None:
    arena.house.environment["CODEX32_WORKER__PROGRAMS"] = "8"  # none waits for another
    arena.open(only=("send", "line", "program"))
    for name, (body, _) in BAD.items():
        indented = "\n".join(" " * 12 + line for line in body.split("\n"))
        arena.house.write(name, _PROGRAM.format(body=indented))
    arena.await_bots(*BAD)
    before = set(arena.house.alive())
    ids = {name: arena.house.execute(name) for name in BAD}
    arena.load.start(["send", "line"], per_second=10, seed=12)

    ended = {
        name: until(lambda i=each: _ended(arena, i), name)  # type: ignore[misc]
        for name, each in ids.items()
    }
    arena.load.stop()

    for name, (_, cause) in BAD.items():
        status, found, message = ended[name]
        if cause is not None:
            assert (status, found) == ("failed", cause), (name, message)
        else:
            assert status in {"succeeded", "failed"}, (name, message)
            assert found in {None, "error", "timeout"}

    def theirs() -> list[str]:
        # What waits for the next program is the house's own.
        ours = ("codex32-zygote", "codex32-cell")
        new = {pid: text for pid, text in arena.house.alive().items() if pid not in before}
        return [text for text in new.values() if not text.startswith(ours)]

    until(lambda: not theirs(), "nothing of theirs is left")
    others = list(arena.load.acknowledged.values())
    arena.settle(30)
    statuses = dict(arena.rows.ask("SELECT id, status FROM execution"))
    assert {statuses[each] for each in others} == {"succeeded"}
    assert {r for (r,) in arena.rows.ask("SELECT outcome FROM attempt")} <= {"succeeded", "failed"}
    assert all(process.poll() is None for process in arena.house.processes.values())


def _ended(arena: Arena, execution_id: str) -> tuple[str, str | None, str] | None:
    sql = f"SELECT status, cause, message, finished_at FROM execution WHERE id = '{execution_id}'"
    status, cause, message, finished_at = arena.rows.ask(sql)[0]
    return None if finished_at is None else (status, cause, message)
