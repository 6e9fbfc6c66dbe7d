"""The API's wing, entering by the same door as a stranger's plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex32 import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def register_cli_commands(cli: click.Group) -> None:
    """Add ``codex32 serve``."""
    from codex32.api.command import serve

    cli.add_command(serve)
