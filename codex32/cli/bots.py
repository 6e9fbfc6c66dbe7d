"""``codex32 bots``: the registry of bots, their versions, and which one is live."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.explaining import diagram, explain
from codex32.cli.groups import Group
from codex32.cli.switching import disable, enable

if TYPE_CHECKING:
    from codex32.services.bots.bot_views import BotView

_NAME = click.argument("name", metavar="BOT")


@click.group(cls=Group)
def bots() -> None:
    """Look at bots, pause them, go back to older versions."""


bots.add_command(explain)
bots.add_command(diagram)
bots.add_command(enable)
bots.add_command(disable)


@bots.command("list")
@json_option
@workspace_option
@click.option("--all", "removed", is_flag=True, help="Also bots whose file is gone.")
@pass_context
def list_(obj: Context, removed: bool, workspace: str) -> None:
    """List the bots: how they stand, when they are due, how they last ended."""
    from codex32.cli.follow import clock_text
    from codex32.services.bots import bot_views

    with obj.runtime() as runtime:
        found = runtime.door.read_now(
            partial(bot_views.listing, removed=removed, workspace=workspace)
        )

    def show() -> None:
        obj.output.table(
            ("bot", "status", "version", "next", "last", "ended"),
            [
                (
                    each.row.name,
                    each.standing,
                    each.number,
                    clock_text(each.next_at),
                    each.last and each.last.status,
                    clock_text(each.last.finished_at) if each.last else "",
                )
                for each in found
            ],
            "there are no bots yet; `codex32 up` takes in the folders of bots",
        )
        for each in found:
            for clash in each.clashes:
                obj.output.line(f"{each.row.name}: {clash.message}", "red")

    obj.output.result({"bots": [bot_views.as_dict(each) for each in found]}, show)


@bots.command()
@json_option
@workspace_option
@_NAME
@pass_context
def show(obj: Context, name: str, workspace: str) -> None:
    """Show a bot: its triggers, its faults, and the definition that is live."""
    from codex32.services.bots import bot_views

    with obj.runtime() as runtime:
        found = runtime.door.read_now(partial(bot_views.view, name, workspace=workspace))
        definition = runtime.door.read_now(bot_views.document, found)
    data = {**bot_views.as_dict(found), "definition": definition}
    obj.output.result(data, lambda: _show(obj, found, definition))


def _show(obj: Context, view: BotView, definition: Mapping[str, Any]) -> None:
    import yaml

    from codex32.cli.follow import clock_text

    out, row = obj.output, view.row
    pinned = " (holds until the file changes)" if row.pinned_digest else ""
    out.facts(
        [
            ("bot", row.name),
            ("status", view.standing),
            ("paused", "triggers do not start it" if row.paused else None),
            ("holds", "alerts alone; there is nothing to execute" if row.alerts_only else None),
            ("version", f"{view.number or 'none'}{pinned}"),
            ("waits", f"version {view.pending} for approval" if view.pending else None),
            ("from", f"{row.origin} {row.source or ''}".strip()),
            ("owner", row.owner),
            ("next", clock_text(view.next_at)),
            ("last", f"{view.last.status} {view.last.id}" if view.last else None),
        ]
    )
    for each in view.problems:
        out.line(str(each), "red")
    if definition:
        out.line()
        out.line(yaml.safe_dump(definition, sort_keys=False, allow_unicode=True).rstrip())


@bots.command()
@json_option
@workspace_option
@_NAME
@pass_context
def pause(obj: Context, name: str, workspace: str) -> None:
    """Let no trigger start the bot until it is resumed; people still may."""
    _pause(obj, name, workspace, paused=True)


@bots.command()
@json_option
@workspace_option
@_NAME
@pass_context
def resume(obj: Context, name: str, workspace: str) -> None:
    """Let triggers start the bot again."""
    _pause(obj, name, workspace, paused=False)


def _pause(obj: Context, name: str, workspace: str, *, paused: bool) -> None:
    from codex32.services.bots import bots as registry

    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        change = partial(registry.pause, name, now, paused=paused, by=obj.caller(workspace))
        runtime.door.write_now(partial(change, workspace=workspace))
    obj.output.result(
        {"name": name, "paused": paused},
        lambda: obj.output.line(f"{name} is {'paused' if paused else 'resumed'}"),
    )


@bots.command()
@json_option
@workspace_option
@_NAME
@pass_context
def history(obj: Context, name: str, workspace: str) -> None:
    """List the versions of a bot, newest first."""
    from codex32.cli.follow import clock_text
    from codex32.services.bots import bot_views
    from codex32.services.bots import bots as registry

    with obj.runtime() as runtime:
        versions = runtime.door.read_now(partial(registry.history, name, workspace=workspace))
        bot = runtime.door.read_now(partial(registry.get, name, workspace=workspace))
    data = [bot_views.version_as_dict(each, bot) for each in versions]
    obj.output.result(
        {"versions": data},
        lambda: obj.output.table(
            ("version", "standing", "made", "from", "by", "digest", "message"),
            [
                (
                    row.number,
                    told["standing"],
                    clock_text(row.created_at),
                    row.source or row.origin,
                    row.author,
                    row.digest[:12],
                    row.message,
                )
                for row, told in zip(versions, data, strict=True)
            ],
            f"{name} has no version without faults yet",
        ),
    )


@bots.command()
@json_option
@workspace_option
@_NAME
@click.argument("before", type=click.IntRange(1), required=False, metavar="[FROM]")
@click.argument("after", type=click.IntRange(1), required=False, metavar="[TO]")
@pass_context
def diff(obj: Context, name: str, before: int | None, after: int | None, workspace: str) -> None:
    """Show what changed between two versions: what it means, and by path.

    Without numbers: the newest version against the one before; with one, that against the newest.
    """
    from codex32.services.bots import versions
    from codex32.services.bots.diff import Change

    with obj.runtime() as runtime:
        told = runtime.door.read_now(versions.compare, name, workspace, before, after)
    styles = {"added": "green", "removed": "red", "widened": "red"}

    def show() -> None:
        for each in told["meanings"]:
            obj.output.line(each["text"], styles.get(each["kind"], "yellow"))
        for each in told["changes"]:
            obj.output.line(f"  {Change(**each)}")
        if not told["changes"]:
            obj.output.note(f"versions {told['from']} and {told['to']} say the same")

    obj.output.result(told, show)


@bots.command()
@json_option
@workspace_option
@_NAME
@click.argument("version", type=click.IntRange(1), metavar="VERSION")
@pass_context
def rollback(obj: Context, name: str, version: int, workspace: str) -> None:
    """Make an older version live; it holds until the bot's file changes again."""
    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        stored = runtime.door.write_now(
            partial(runtime.registry.rollback, name, version, now, by=obj.caller())
        )
    obj.output.result(
        {"name": name, "version": stored.number},
        lambda: obj.output.line(f"version {stored.number} of {name} is live"),
    )


@bots.command()
@json_option
@workspace_option
@_NAME
@click.argument("version", type=click.IntRange(1), metavar="VERSION")
@pass_context
def approve(obj: Context, name: str, version: int, workspace: str) -> None:
    """Make the version live that waits for approval, for it may more than the one before."""
    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        change = partial(runtime.registry.approve, name, version, now, workspace=workspace)
        stored = runtime.door.write_now(partial(change, by=obj.caller(workspace)))
    obj.output.result(
        {"name": name, "version": stored.number},
        lambda: obj.output.line(f"version {stored.number} of {name} is approved and live"),
    )
