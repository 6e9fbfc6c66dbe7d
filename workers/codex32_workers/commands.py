"""``codex32 worker`` and ``codex32 scheduler``."""

from __future__ import annotations

import logging
import sys

import click

from codex32.outside.children import Children
from codex32.outside.stopping import KILL_SECONDS, heed_signals

log = logging.getLogger(__name__)


@click.command()
@click.option("--processes", type=click.IntRange(1), help="Worker processes [setting].")
@click.pass_context
def worker(context: click.Context, processes: int | None) -> None:
    """Run executions, in one or several processes, until stopped."""
    try:
        from codex32_workers.worker import run_worker
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed: install codex32[worker]"
        ) from None

    from codex32.runtime import open_runtime
    from codex32.tables import require_schema

    settings = context.obj.settings
    count = processes or settings.worker.processes
    if count > 1:
        require_schema(settings, context.obj.plugins)
        _run_several(count, settings.worker.stop_grace_seconds)
        return
    runtime = open_runtime(settings, "worker", plugins=context.obj.plugins)
    try:
        run_worker(runtime)
    finally:
        runtime.close()


def _run_several(count: int, grace_seconds: float) -> None:
    """Keep ``count`` worker processes running until SIGTERM or SIGINT."""
    told = heed_signals()
    # The same command line, for one process: settings and flags reach it as they reached us.
    given = [part for part in sys.argv[1:] if part not in ("--processes", str(count))]
    children = Children(
        lambda name, code, pause: log.error(
            "%s ended with %d and starts again in %.1f s", name, code, pause
        )
    )
    for place in range(count):
        command = [sys.executable, "-P", "-m", "codex32", *given, "--processes", "1"]
        children.start(f"worker {place + 1}", command)
    children.watch(told)
    children.stop(grace_seconds + KILL_SECONDS)


@click.command()
@click.option("--tell", is_flag=True, help="Print what happens, a JSON document a line.")
@click.pass_context
def scheduler(context: click.Context, tell: bool) -> None:
    """Watch the folders of bots, fire due triggers and mend what was lost, until stopped."""
    from codex32.runtime import open_runtime
    from codex32_workers.scheduler import run_scheduler

    runtime = open_runtime(context.obj.settings, "scheduler", plugins=context.obj.plugins)
    try:
        run_scheduler(runtime, [context.obj.tell_news] if tell else [])
    finally:
        runtime.close()
