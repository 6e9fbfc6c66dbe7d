"""``codex32 worker`` and ``codex32 scheduler``."""

from __future__ import annotations

import click

from codex32.runtime import open_runtime


@click.command()
@click.option("--processes", type=click.IntRange(1), help="Worker processes [setting].")
@click.pass_context
def worker(context: click.Context, processes: int | None) -> None:
    """Run executions, in one or several processes, until stopped."""
    from codex32_workers.children import run_children
    from codex32_workers.worker import run_worker

    settings = context.obj.settings
    count = processes or settings.worker.processes
    if count > 1:
        run_children(["worker", "--processes", "1"], count)
        return
    runtime = open_runtime(settings, "worker", plugins=context.obj.plugins)
    try:
        run_worker(runtime)
    finally:
        runtime.close()


@click.command()
@click.pass_context
def scheduler(context: click.Context) -> None:
    """Watch the folders of bots, fire due triggers and mend what was lost, until stopped."""
    from codex32_workers.scheduler import run_scheduler

    runtime = open_runtime(context.obj.settings, "scheduler", plugins=context.obj.plugins)
    try:
        run_scheduler(runtime)
    finally:
        runtime.close()
