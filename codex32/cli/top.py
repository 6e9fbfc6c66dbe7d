"""``codex32 top``: how the whole house does, at a glance and live."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.output import Output
from codex32.kernel.connection import is_outage
from codex32.kernel.redaction import unsaid
from codex32.kernel.text import format_duration

#: A look that takes longer is told of.
SLOW_SECONDS = 3.0


@click.command()
@json_option
@click.option("--once", is_flag=True, help="Look once and end; so it is in a pipe.")
@click.option(
    "--every",
    default=2.0,
    type=click.FloatRange(0.2, 3600),
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@pass_context
def top(obj: Context, once: bool, every: float) -> None:
    """Show how the house does: processes, queue, what runs for longest, alerts that fire.

    On a terminal it goes on until Ctrl-C. With --json each look is a document, a line each.
    """
    from codex32.services.metering.overview import overview

    with obj.runtime() as runtime:

        def look() -> dict[str, Any]:
            return runtime.door.read_now(overview, runtime.clock.micros())

        if once or not (obj.output.live or obj.json):
            found = look()
            obj.output.result(found, lambda: obj.output.line(_screen(found, None, 0)))
        elif obj.json:
            while True:
                obj.output.document(look())
                time.sleep(every)
        else:
            _show(obj.output, look, every)


def _show(output: Output, look: Callable[[], dict[str, Any]], every: float) -> None:
    """Draw looks over each other until Ctrl-C; a database that is away is waited for."""
    from rich.live import Live
    from rich.text import Text

    looks: SimpleQueue[dict[str, Any] | Exception] = SimpleQueue()
    # Of a thread of its own: whoever wants to leave does not wait for a database that hangs.
    threading.Thread(target=_keep_looking, args=(look, every, looks), daemon=True).start()
    found: dict[str, Any] | None = None
    screen, looked_at = "", time.monotonic()
    try:
        with Live(console=output.console, screen=True, auto_refresh=False) as live:
            while True:
                came = _next(looks, every + SLOW_SECONDS)
                now = time.monotonic()
                if isinstance(came, dict):
                    screen = told = _screen(came, found, now - looked_at)
                    found, looked_at = came, now
                else:
                    why = f": {unsaid(str(came)).strip()}" if came is not None else ""
                    silent = format_duration(float(round(now - looked_at)))
                    told = f"! the database has not answered for {silent}{why}\n{screen}"
                live.update(Text(told), refresh=True)
    except KeyboardInterrupt:
        return


def _keep_looking(
    look: Callable[[], dict[str, Any]],
    every: float,
    looks: SimpleQueue[dict[str, Any] | Exception],
) -> None:
    while True:
        try:
            looks.put(look())
        except Exception as error:
            looks.put(error)
        time.sleep(every)


def _next(
    looks: SimpleQueue[dict[str, Any] | Exception], patience: float
) -> dict[str, Any] | Exception | None:
    """The next look, or why there is none; None where it takes too long.

    Raises:
      Exception: What is wrong will not pass by itself.
    """
    try:
        came = looks.get(timeout=patience)
    except Empty:
        return None
    if isinstance(came, Exception) and not is_outage(came):
        raise came
    return came


def _screen(found: Mapping[str, Any], before: Mapping[str, Any] | None, seconds: float) -> str:
    """A look as text; with the look of ``seconds`` before it, rates as well."""
    told = Output(stdout=io.StringIO(), stderr=io.StringIO())
    told.facts(
        [
            ("at", found["at"][:19].replace("T", " ") + " UTC"),
            ("processes", _words(found["processes"]) or "none is alive"),
            # So high up that a small terminal shows it, where the table of them has no room.
            ("alerts that fire", _firing(found["firing"])),
            ("bots", _words(found["bots"])),
            ("executions", _words(found["executions_open"])),
            ("ended", _ended(found["ended"], before and before["ended"], seconds)),
            ("oldest queued", format_duration(found["queue_oldest_seconds"])),
            ("schedules behind", format_duration(found["schedule_behind_seconds"])),
            ("people are asked", int(found["approvals_open"])),
            ("dead letters", int(found["dead_letters"])),
            ("deliveries owed", int(found["webhook_deliveries_open"])),
            ("models left alone", _words(found["breakers"]) or "none"),
        ]
    )
    for title, rows, columns in (
        ("ALERTS THAT FIRE", found["firing"], ("workspace", "bot", "alert", "for", "detail")),
        (
            "RUNNING FOR LONGEST",
            found["running"],
            ("id", "workspace", "bot", "attempt", "for", "worker"),
        ),
    ):
        if rows:
            told.line()
            told.line(title)
            shown = [{**row, "for": format_duration(row["seconds"])} for row in rows]
            told.table(columns, [[row[name] for name in columns] for row in shown], "")
    assert isinstance(told.stdout, io.StringIO)
    return told.stdout.getvalue().rstrip()


def _firing(rows: Sequence[object]) -> str:
    from codex32.services.metering.overview import NAMED

    if not rows:
        return "none"
    return f"{NAMED} or more" if len(rows) >= NAMED else str(len(rows))


def _words(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{int(count)} {name}" for name, count in counts.items())


def _ended(counts: Mapping[str, int], before: Mapping[str, int] | None, seconds: float) -> str:
    if before is None or seconds <= 0:
        return _words(counts)
    rates = {name: (count - before.get(name, 0)) / seconds for name, count in counts.items()}
    # What is counted comes to the rows with the heartbeats, every ten seconds.
    return ", ".join(f"{int(counts[name])} {name} ({rate:.1f}/s)" for name, rate in rates.items())
