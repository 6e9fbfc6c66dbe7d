"""``codex32 alerts``: what bots want people to be told of, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

F = TypeVar("F", bound=Callable[..., Any])

_STATES = ("ok", "pending", "firing")
_WIDTH = 60


@click.group(cls=Group)
def alerts() -> None:
    """Look at alerts of bots, silence them, look after them."""


@alerts.command("list")
@json_option
@workspace_option
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Repeatable.")
@click.option("--bot", metavar="BOT", help="Of this bot.")
@click.option("--limit", default=50, type=click.IntRange(1, 1000), show_default=True)
@click.option("--after", metavar="ID", help="Behind this one: the next page.")
@pass_context
def list_(
    obj: Context,
    workspace: str,
    states: tuple[str, ...],
    bot: str | None,
    limit: int,
    after: str | None,
) -> None:
    """List alerts and how they stand: all of them, if nothing else is asked."""
    from codex32.services.alerts import alerts as service

    query = service.Query(states, bot, after, limit, workspace)
    with obj.runtime() as runtime:
        rows = runtime.door.read_now(service.listing, query)
        found = [service.as_dict(row, runtime.clock.micros()) for row in rows]
    obj.output.result(
        {"alerts": found},
        lambda: obj.output.table(
            ("bot", "alert", "state", "since", "detail", ""),
            [
                (each["bot"], _name(each), each["state"], each["since"],
                 each["detail"][:_WIDTH], _mark(each))
                for each in found
            ],
            "there is no such alert; write `alerts:` into a bot's file, or into one of its own",
        ),
    )  # fmt: skip


def _one(command: F) -> F:
    for option in (
        click.argument("name", metavar="ALERT"),
        click.argument("bot", metavar="BOT"),
        workspace_option,
        json_option,
    ):
        command = option(command)
    return command


@alerts.command()
@_one
@pass_context
def show(obj: Context, bot: str, name: str, workspace: str) -> None:
    """Show an alert: how it stands, what was seen, which executions carried its notices."""
    from codex32.services.alerts import alerts as service

    with obj.runtime() as runtime:
        row = runtime.door.read_now(partial(service.find, workspace=workspace), bot, name)
        found = service.as_dict(row, runtime.clock.micros())
    facts = [(key.replace("_", " "), each) for key, each in found.items() if key != "notices"]
    told = [("notices", ", ".join(found["notices"]) or None)]
    obj.output.result(found, lambda: obj.output.facts([*facts, *told]))


@alerts.command()
@_one
@click.option("--for", "length", metavar="DURATION", default="1h", show_default=True)
@click.option("--note", default="", help="Why.")
@pass_context
def silence(obj: Context, bot: str, name: str, workspace: str, length: str, note: str) -> None:
    """Tell nobody of an alert for a while; what is still so afterwards is told then."""
    from codex32.kernel.text import parse_duration

    try:
        seconds = parse_duration(length)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None
    found = _change(obj, "silence", bot, name, seconds, note=note, workspace=workspace)
    told = f"{bot} {name} is silent until {found['silenced_until']}"
    obj.output.result(found, lambda: obj.output.line(told))


@alerts.command()
@_one
@pass_context
def unsilence(obj: Context, bot: str, name: str, workspace: str) -> None:
    """End a silence."""
    found = _change(obj, "silence", bot, name, 0.0, workspace=workspace)
    obj.output.result(found, lambda: obj.output.line(f"{bot} {name} is silent no more"))


@alerts.command()
@_one
@click.option("--note", default="", help="What is being done about it.")
@pass_context
def acknowledge(obj: Context, bot: str, name: str, workspace: str, note: str) -> None:
    """Look after an alert that fires, so that it is not escalated. The first one counts."""
    found = _change(obj, "acknowledge", bot, name, note=note, workspace=workspace)
    told = f"{found['acknowledged_by']} looks after {bot} {name}"
    obj.output.result(found, lambda: obj.output.line(told))


def _change(
    obj: Context, change: str, bot: str, name: str, *given: Any, workspace: str, **how: Any
) -> dict[str, Any]:
    from codex32.services.alerts import alerts as service

    with obj.runtime(ring=True) as runtime:
        caller, now = obj.caller(workspace), runtime.clock.micros()

        def work() -> dict[str, Any]:
            row = service.find(bot, name, workspace=workspace)
            do = getattr(service, change)
            return service.as_dict(
                do(row.id, *given, caller, now, workspace=workspace, **how), now
            )

        return runtime.door.write_now(work)


def _name(alert: dict[str, Any]) -> str:
    """As commands take it, also where several speak of the bot."""
    own = alert["said_by"] == alert["bot"]
    return str(alert["name"]) if own else f"{alert['said_by']}/{alert['name']}"


def _mark(alert: dict[str, Any]) -> str:
    if alert["silenced_until"]:
        return f"silent until {alert['silenced_until']}"
    return f"{alert['acknowledged_by']} looks after it" if alert["acknowledged_by"] else ""
