"""``codex32 bots explain`` and ``diagram``: what a bot is, before anybody trusts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option

_NAME = click.argument("name", metavar="BOT")


@click.command()
@json_option
@workspace_option
@_NAME
@pass_context
def explain(obj: Context, name: str, workspace: str) -> None:
    """Say in plain words what starts a bot, what it does, what it may, and what it will cost."""
    told = _told(obj, name, workspace)

    def show() -> None:
        for line in told["text"].splitlines():
            obj.output.line(line)
        obj.output.line()
        obj.output.line("It costs:")
        for line in _costs(told["cost"]):
            obj.output.line(f"  {line}")

    obj.output.result(told, show)


@click.command()
@json_option
@workspace_option
@_NAME
@pass_context
def diagram(obj: Context, name: str, workspace: str) -> None:
    """Print a bot's steps as a Mermaid flowchart."""
    told = _told(obj, name, workspace)["diagram"]

    def show() -> None:
        for line in told.splitlines():
            obj.output.line(line)

    obj.output.result({"diagram": told}, show)


def _told(obj: Context, name: str, workspace: str) -> Mapping[str, Any]:
    from functools import partial

    from codex32.chosen import prices
    from codex32.services.explaining.view import explanation

    with obj.runtime() as runtime:
        parts = runtime.definitions, runtime.components, prices(obj.settings)
        look = partial(explanation, name, runtime.clock.micros(), *parts, workspace=workspace)
        return runtime.door.read_now(look)


def _costs(cost: Mapping[str, Any]) -> list[str]:
    one, times, month = (cost[key] for key in ("execution_usd", "executions_month", "month_usd"))
    often = "an unknown number of executions" if times is None else f"{times} executions"
    return [
        f"an execution: {_usd(one)}, by its {cost['based_on']}",
        f"30 days: {_usd(month)}, for {often}",
        *(f"not known: {each}" for each in cost["unknown"]),
        *(f"taken for granted: {each}" for each in cost["assumed"]),
    ]


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f} USD"
