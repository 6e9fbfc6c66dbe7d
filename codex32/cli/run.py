"""``codex32 run``: one execution, watched from its start to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context

if TYPE_CHECKING:
    from codex32.cli.running import Wish


@click.command()
@json_option
@click.argument("subject", metavar="BOT|FILE")
@click.option(
    "--input", "pairs", multiple=True, metavar="NAME=VALUE", help="An input; may be repeated."
)
@click.option("--inputs", "file", metavar="FILE|-", help="Inputs from YAML or JSON.")
@click.option("--bot", "name", help="Which bot, where FILE holds several.")
@click.option("--wait/--no-wait", default=True, help="Watch it to its end, or print its id.")
@pass_context
@click.pass_context
def run(
    ctx: click.Context,
    obj: Context,
    subject: str,
    pairs: tuple[str, ...],
    file: str | None,
    name: str | None,
    wait: bool,
) -> None:
    """Run one bot and show its steps live; the exit code tells how it ended.

    BOT is the name of a bot; FILE is a bot file, whose bot is run as it stands there without
    becoming live. Where workers are alive they do the work, else this process does. Ctrl-C
    cancels the execution; a second one leaves it to a later worker.
    """
    from codex32.cli.running import Wish

    wish = Wish(subject, pairs, file, name, wait=wait)
    ctx.exit(asyncio.run(_run(obj, wish)))


async def _run(obj: Context, wish: Wish) -> int:
    from codex32.cli.running import Running

    with obj.runtime(upgrade=True, ring=True) as runtime:
        running = Running(runtime, obj.output, wish, obj.caller())
        execution_id = await running.start()
        if execution_id is None:
            raise failures.CommandFailed(
                "it was not started: its concurrency is at its limit and lets no more wait",
                "concurrency",
            )
        if not wish.wait:
            obj.output.result({"id": execution_id}, lambda: obj.output.line(execution_id))
            return failures.OK
        return await running.watch(execution_id)
