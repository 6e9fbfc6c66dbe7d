"""``codex32 events``: publishing events, and those that were told lately."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group
from codex32.cli.inputs import json_of

_SHOWN = 60


@click.group(cls=Group)
def events() -> None:
    """Publish events, and look at those that somebody listens to."""


@events.command()
@json_option
@workspace_option
@click.argument("name", metavar="NAME")
@click.option(
    "--data", metavar="JSON|@FILE", help="Any JSON value; @FILE reads it, @- from stdin."
)
@click.option("--key", help="Publishing again with the same key changes nothing.")
@click.option("--dry-run", is_flag=True, help="Only show who listens.")
@pass_context
def publish(
    obj: Context, name: str, data: str | None, key: str | None, dry_run: bool, workspace: str
) -> None:
    """Publish the event NAME, custom. and more; bots that listen to it are started."""
    from codex32.kernel.ids import new_id
    from codex32.services.events import events as service

    value = json_of("--data", data)
    service.check(name, value)
    with obj.runtime() as runtime:
        if dry_run:
            types = runtime.components.trigger_types
            ask = partial(service.audience, workspace=workspace)
            found = runtime.door.read_now(ask, name, types)
            told = {"bots": list(found.bots), "executions": list(found.executions)}
            obj.output.result(told, lambda: _show_audience(obj, name, found))
            return
        now = runtime.clock.micros()
        by = obj.caller(workspace)
        wish = service.Publish(name, value, now, new_id("evt"), key, workspace, by)
        done = service.publish_now(runtime.door, wish)
    said = "was published before" if done.repeated else "is published"
    obj.output.result(
        {"id": done.id, "repeated": done.repeated},
        lambda: obj.output.line(f"{done.id} {said}"),
    )


def _show_audience(obj: Context, name: str, found: Any) -> None:
    for bot in found.bots:
        obj.output.line(f"bot {bot}")
    for execution in found.executions:
        obj.output.line(f"execution {execution}, which waits for it")
    if not found.bots and not found.executions:
        obj.output.note(f"nobody listens to {name}")


@events.command("list")
@json_option
@workspace_option
@click.option("--name", "pattern", metavar="PATTERN", help="Only names like execution.*")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@pass_context
def list_(obj: Context, pattern: str | None, limit: int, workspace: str) -> None:
    """List events, newest first; what nobody listens to is not kept."""
    from codex32.cli.follow import clock_text
    from codex32.services.events import events as service

    with obj.runtime() as runtime:
        work = partial(service.listing, pattern=pattern, limit=limit, workspace=workspace)
        rows = runtime.door.read_now(work)
    obj.output.result(
        {"events": [service.as_dict(row) for row in rows]},
        lambda: obj.output.table(
            ("at", "name", "delivered", "from", "data"),
            [
                (
                    clock_text(row.at),
                    row.name,
                    row.delivered_at is not None,
                    _whence(row),
                    row.data if len(row.data) <= _SHOWN else f"{row.data[:_SHOWN]}…",
                )
                for row in rows
            ],
            "there are no events; they are kept where a trigger or a `wait` listens to them",
        ),
    )


def _whence(row: Any) -> str:
    """Who published it, or the bots that led to it."""
    if row.published_by is not None:
        return str(json.loads(row.published_by)["name"])
    return " → ".join(json.loads(row.chain))
