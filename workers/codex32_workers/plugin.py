"""The workers' wing, entering by the same door as a stranger's plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from codex32 import Dispatcher, hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def register_dispatchers(config: Mapping[str, Any]) -> Iterator[Dispatcher]:
    """Offer Dramatiq, where a Redis server is named."""
    if config.get("redis_url"):
        from codex32_workers.dispatcher import DramatiqDispatcher

        yield DramatiqDispatcher(config["redis_url"])


@hookimpl
def register_cli_commands(cli: click.Group) -> None:
    """Add ``codex32 worker`` and ``codex32 scheduler``."""
    from codex32_workers.commands import scheduler, worker

    cli.add_command(worker)
    cli.add_command(scheduler)
