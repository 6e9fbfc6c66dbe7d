"""``codex32 samples``."""

from __future__ import annotations

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535))
def samples(host: str, port: int) -> None:
    """Serve the small site that the sample bots work on."""
    from aiohttp import web

    from codex32_samples.site import build_site

    try:
        web.run_app(build_site(), host=host, port=port, print=None, access_log=None)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None
