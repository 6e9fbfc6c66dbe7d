"""A small site for the sample bots; the command ``codex32 samples`` serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex32 import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def register_cli_commands(cli: click.Group) -> None:
    """Add ``codex32 samples``."""
    from codex32_samples.command import samples

    cli.add_command(samples)
