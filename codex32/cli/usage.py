"""``codex32 usage`` and ``codex32 models``: what models cost, and which there are."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Literal

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group

#: Days that are told of unless somebody says otherwise.
_DAYS = 30
_NOTHING = "no model was asked"


@click.group(cls=Group, invoke_without_command=True)
@json_option
@click.option(
    "--by",
    type=click.Choice(["bot", "model", "day", "workspace"]),
    default="bot",
    help="What is told apart; default: bot.",
)
@click.option("--days", type=click.IntRange(1, 400), default=_DAYS, help="Days back; default 30.")
@click.option("--workspace", metavar="NAME", help="Of one workspace; default: all.")
@click.pass_context
def usage(
    ctx: click.Context,
    by: Literal["bot", "model", "day", "workspace"],
    days: int,
    workspace: str | None,
) -> None:
    """What models cost, the dearest first. What a service did not tell is assumed, and marked."""
    if ctx.invoked_subcommand is not None:
        return
    from codex32.services.ai import spending
    from codex32.services.ai.money import shown, usd

    obj: Context = ctx.obj
    with obj.runtime() as runtime:
        last = date.fromisoformat(runtime.models.caps.day(runtime.clock.now()))
        read = partial(spending.spent, by, last - timedelta(days=days - 1), last)
        found = runtime.door.read_now(partial(read, workspace=workspace))
        there = runtime.door.read_now(spending.budgets, last)
        names = runtime.door.read_now(spending.called, there)
    if obj.output.as_json:
        budgets = [
            {
                "budget": row.key,
                "name": name,
                "limit_usd": usd(row.limit_nano),
                "spent_usd": usd(row.spent_nano),
                "reserved_usd": usd(row.reserved_nano),
            }
            for name, row in zip(names, there, strict=True)
        ]
        obj.output.document({"items": [each.as_dict(by) for each in found], "budgets": budgets})
        return
    rows = [
        [
            each.name or "-",
            each.requests,
            each.failed,
            each.input_tokens,
            each.output_tokens,
            f"{usd(each.cost_nano):.6f}",
            f"{usd(each.assumed_nano):.6f}",
        ]
        for each in found
    ]
    obj.output.table(
        [by, "requests", "failed", "tokens in", "out", "USD", "assumed"], rows, _NOTHING
    )
    for name, row in zip(names, there, strict=True):
        obj.output.line(f"{name}: {shown(row.spent_nano)} of {shown(row.limit_nano)}")


@usage.command()
@json_option
@click.option("--workspace", metavar="NAME", help="Of one workspace; default: all.")
@pass_context
def forecast(obj: Context, workspace: str | None) -> None:
    """What this month will have cost, bot by bot, if its days go on as the last 28."""
    from codex32.services.ai import spending
    from codex32.services.ai.money import shown, usd

    with obj.runtime() as runtime:
        today = date.fromisoformat(runtime.models.caps.day(runtime.clock.now()))
        found = runtime.door.read_now(partial(spending.forecast, today, workspace=workspace))
        limit = runtime.models.caps.month_nano
    total = sum(each.expected_nano for each in found)
    if obj.output.as_json:
        told = {
            "items": [each.as_dict() for each in found],
            "expected_usd": usd(total),
            "limit_usd": None if limit is None else usd(limit),
        }
        obj.output.document(told)
        return
    rows = [
        [
            each.name or "-",
            f"{usd(each.spent_nano):.4f}",
            f"{usd(each.expected_nano):.4f}",
            f"{usd(each.high_nano):.4f}",
        ]
        for each in found
    ]
    obj.output.table(["bot", "so far", "expected", "at most"], rows, _NOTHING)
    cap = "no limit" if limit is None else f"the limit is {shown(limit)}"
    obj.output.line(f"expected: {shown(total)}; {cap}")


@click.command()
@json_option
@pass_context
def models(obj: Context) -> None:
    """The models that installed providers know of, with what they can and cost.

    Others may be asked by their names, too, as long as their price is known.
    """
    from codex32.chosen import prices
    from codex32.services.ai import catalogue

    found = catalogue.listing(obj.plugins.components.llm_providers, prices(obj.settings))
    if obj.output.as_json:
        obj.output.document({"items": [each.as_dict() for each in found]})
        return
    rows = [
        [
            each.name,
            each.info.context_tokens or "-",
            "?" if (able := each.info.capabilities) is None else " ".join(sorted(able)) or "-",
            "unknown" if each.input_usd is None else f"{each.input_usd:g}",
            "unknown" if each.output_usd is None else f"{each.output_usd:g}",
            each.info.retires_on or "",
        ]
        for each in found
    ]
    headings = ["model", "context", "can", "USD/million in", "out", "retires on"]
    obj.output.table(headings, rows, "no provider of models is installed")
