"""``codex32 top`` in a project folder, without a server."""

import asyncio
import io
from queue import SimpleQueue

import peewee as pw
import pytest
from rich.console import Console

from codex32.cli.output import Output
from codex32.cli.top import _next, _screen, _show
from codex32.kernel.models import ExecutionRow
from codex32.kernel.text import format_duration
from codex32.runtime import open_runtime
from codex32.services.bots.written import Written
from codex32.services.executions.starting import Start
from codex32.services.upkeep import processes
from codex32_config.settings import load_settings

BOT = "name: slow\ntype: set\nwith: {values: {}}\n"


@pytest.fixture
def house(codex32, project):
    """A scheduler and a worker that has been at an execution for ninety seconds."""
    assert codex32("db", "upgrade").code == 0
    runtime = open_runtime(load_settings(folder=project, environ={}), "cli")
    try:
        now = runtime.clock.micros()
        written = Written.of(runtime.reader.read_text(BOT).only_bot(), BOT, "api")
        runtime.door.write_now(lambda: runtime.registry.store(written, now))
        for kind in ("scheduler", "worker"):
            runtime.door.write_now(
                lambda kind=kind: processes.heartbeat(f"prc_{kind}", kind, now, now)
            )
        asyncio.run(runtime.starter.start(Start(bot="slow")))
        began = {"status": "running", "attempt_at": now - 90_000_000, "worker": "prc_worker"}
        runtime.door.write_now(lambda: ExecutionRow.update(began).execute())
        runtime.meter.keep_now(runtime.door)
    finally:
        runtime.close()


def test_it_names_what_works_and_tells_numbers(codex32, house):
    found = codex32("top", "--once", "--json").json
    assert found["processes"] == {"scheduler": 1, "worker": 1}
    assert found["executions_open"] == {"queued": 0, "running": 1, "waiting": 0}
    assert found["bots"]["active"] == 1
    (running,) = found["running"]
    assert (running["bot"], running["worker"]) == ("slow", "prc_worker")
    assert running["seconds"] >= 90
    assert found["firing"] == []


def test_in_a_pipe_it_looks_once(codex32, house):
    told = codex32("top")
    assert told.code == 0
    assert "1 scheduler, 1 worker" in told.out
    assert "RUNNING FOR LONGEST" in told.out
    assert "prc_worker" in told.out


LOOK = {
    "at": "2026-11-28T21:00:00+00:00",
    "processes": {},
    "bots": {"active": 2},
    "executions_open": {"queued": 0, "running": 1, "waiting": 0},
    "ended": {"succeeded": 100},
    "queue_oldest_seconds": 0.0,
    "schedule_behind_seconds": 0.0,
    "approvals_open": 0,
    "dead_letters": 3,
    "webhook_deliveries_open": 0,
    "breakers": {"openai open": 1},
    "running": [
        {"id": "exe_1", "workspace": "default", "bot": "b\x1b[2J", "attempt": 1, "worker": "prc_1",
         "seconds": 90.0}
    ],
    "firing": [],
}  # fmt: skip


def test_a_second_look_tells_rates_and_what_strangers_named_is_harmless():
    text = _screen({**LOOK, "ended": {"succeeded": 120, "failed": 5}}, LOOK, 10.0)
    assert "120 succeeded (2.0/s), 5 failed (0.5/s)" in text
    assert "none is alive" in text
    assert "exe_1" in text
    assert format_duration(90.0) in text
    assert "\x1b" not in text


def test_a_terminal_of_ten_lines_shows_that_alerts_fire():
    alert = {"workspace": "default", "bot": "b", "alert": "a", "seconds": 1.0, "detail": "d"}
    for firing, told in (([], "none"), ([alert] * 2, "2"), ([alert] * 15, "15 or more")):
        lines = _screen({**LOOK, "firing": firing}, None, 0).splitlines()[:9]
        assert [line[19:] for line in lines if line.startswith("alerts that fire   ")] == [told]


def test_a_database_that_is_away_is_told_of_and_looked_for_again(codex32, house):
    went, came = pw.InterfaceError("connection refused"), {**LOOK, "dead_letters": 4}
    pending = iter((LOOK, went, came))

    def look():
        step = next(pending, None)
        if step is None:
            raise RuntimeError("over")
        if isinstance(step, Exception):
            raise step
        return step

    drawn = io.StringIO()
    output = Output(stdout=drawn)
    output.console = Console(file=drawn, force_terminal=True, width=100, height=40)
    with pytest.raises(RuntimeError, match="over"):
        _show(output, look, 0.01)
    told = drawn.getvalue()
    assert "the database has not answered for" in told
    assert "connection refused" in told
    assert told.index("connection refused") < told.rindex("dead letters")


def test_a_look_that_does_not_come_is_not_waited_for():
    assert _next(SimpleQueue(), 0.01) is None
