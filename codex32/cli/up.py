"""``codex32 up``: everything on this machine with one command."""

from __future__ import annotations

import click

from codex32.cli.context import Context, json_option, pass_context


@click.command()
@json_option
@click.option("--workers", type=click.IntRange(1), help="Worker processes [setting].")
@click.option("--host", help="Address of the API [setting].")
@click.option("--port", type=click.IntRange(0, 65535), help="Its port; 0: any free [setting].")
@pass_context
@click.pass_context
def up(
    ctx: click.Context, obj: Context, workers: int | None, host: str | None, port: int | None
) -> None:
    """Run everything: API, scheduler and workers, with Redis if none is configured.

    Watches the folders of bots and says what happens, until Ctrl-C. With --json, each happening
    is a JSON document in a line of its own.
    """
    from codex32.cli.house import House

    obj.override({"worker.processes": workers, "api.host": host, "api.port": port})
    ctx.exit(House(obj).run())
