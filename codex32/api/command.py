"""``codex32 serve``."""

from __future__ import annotations

import importlib.util

import click


@click.command()
@click.option("--host", help="Address to listen on [setting].")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0: any free [setting].")
@click.pass_context
def serve(context: click.Context, host: str | None, port: int | None) -> None:
    """Answer the HTTP API until stopped."""
    if importlib.util.find_spec("aiohttp") is None:
        raise click.ClickException("the HTTP API needs aiohttp; install codex32[api]")
    from codex32.api.server import run_server
    from codex32.runtime import open_runtime

    settings = context.obj.settings
    runtime = open_runtime(settings, "api", plugins=context.obj.plugins)
    try:
        run_server(
            runtime,
            settings.api.host if host is None else host,
            settings.api.port if port is None else port,
        )
    finally:
        runtime.close()
