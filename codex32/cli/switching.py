"""``codex32 bots enable`` and ``disable``: whether a bot that no file owns may be started."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.failures import UNDECIDED

if TYPE_CHECKING:
    from codex32.services.bots.written import Stored


@click.command()
@json_option
@workspace_option
@click.argument("name", metavar="BOT")
@pass_context
def enable(obj: Context, name: str, workspace: str) -> None:
    """Let its definition say `enabled: true`: a new version, which may be started."""
    _switch(obj, name, workspace, enabled=True)


@click.command()
@json_option
@workspace_option
@click.argument("name", metavar="BOT")
@pass_context
def disable(obj: Context, name: str, workspace: str) -> None:
    """Let its definition say `enabled: false`: a new version, which nobody starts."""
    _switch(obj, name, workspace, enabled=False)


def _switch(obj: Context, name: str, workspace: str, *, enabled: bool) -> None:
    from codex32.services.bots.authoring import switched

    with obj.runtime() as runtime:
        store, reader = runtime.registry.store, runtime.reader
        caller, now = obj.caller(workspace), runtime.clock.micros()

        def change() -> Stored:
            written = switched(name, reader, caller, enabled=enabled)
            return store(written, now, by=caller, workspace=workspace)

        stored = runtime.door.write_now(change)
    waits = stored.change == "waiting"  # it was never live
    said = f"{name} is {'enabled' if enabled else 'disabled'}, with version {stored.number}"
    if waits:
        said = f"{name} has never been live: version {stored.number} waits for approval"
    obj.output.result(
        {"name": name, "version": stored.number, "enabled": enabled, "waits": waits},
        partial(obj.output.line, said),
    )
    if waits:
        raise SystemExit(UNDECIDED)
