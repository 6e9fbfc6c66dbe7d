"""``codex32 schedules``: making up for times and events that were missed."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group
from codex32.cli.why import Moment

#: More than this must be meant.
_MANY = 1000


@click.group(cls=Group)
def schedules() -> None:
    """Look after the times of bots. When they are due tells `codex32 why`."""


@schedules.command()
@json_option
@workspace_option
@click.argument("bot")
@click.option(
    "--from",
    "first",
    type=Moment(),
    required=True,
    metavar="TIME",
    help="The first time; 08:00 is today.",
)
@click.option("--to", "last", type=Moment(), metavar="TIME", help="The last time; default: now.")
@click.option(
    "--trigger",
    metavar="N|KIND",
    help="Its place in the file, from 1, or its kind. Default: all enabled ones.",
)
@click.option("--limit", type=click.IntRange(1), help="Most of them; the oldest come first.")
@click.option(
    "--forgotten", is_flag=True, help="Also where answers are so old that they were let go."
)
@click.option("--dry-run", is_flag=True, help="Say how much is missing.")
@click.option("--yes", is_flag=True, help="However many there are.")
@pass_context
def backfill(
    obj: Context,
    bot: str,
    first: datetime,
    last: datetime | None,
    trigger: str | None,
    limit: int | None,
    forgotten: bool,
    dry_run: bool,
    yes: bool,
    workspace: str,
) -> None:
    """Execute a bot for the times and events that it missed, oldest first.

    What was fired is not fired again; what was missed, paused or skipped is. These executions have
    `trigger.backfill`, and all others go before them. A backfill that was stopped is run again.
    """  # fmt: skip
    from codex32.kernel.clock import to_micros
    from codex32.services.triggers.backfill import Backfill, Filled, as_dict

    with obj.runtime(ring=True) as runtime:
        filler = runtime.backfiller
        wish = Backfill(
            bot,
            to_micros(first),
            runtime.clock.micros() if last is None else to_micros(last),
            trigger,
            limit,
            forgotten,
            workspace,
            obj.caller(workspace),
        )
        gap = runtime.door.read_now(filler.look, wish)
        if len(gap.missing) > _MANY and not (yes or dry_run or limit):
            raise failures.CommandFailed(
                f"{len(gap.missing)} are missing; say --yes, or take fewer with --limit",
                "too-many",
            )
        filled = Filled()
        if not dry_run:
            with obj.output.progress("filling", len(gap.missing)) as advance:
                for places in gap.batches():
                    filled.add(runtime.door.write_now(partial(filler.fill, gap, places)))
                    advance(len(places))
    data = as_dict(gap, filled, dry_run=dry_run)

    def show() -> None:
        found = f"{data['missing']} of {gap.times} times and events are missing"
        span = f", from {data['first']} to {data['last']}" if gap.missing else ""
        obj.output.line(
            f"{bot}: {found}{span}"
            if dry_run or not gap.missing
            else f"{bot}: {found}; {data['made']} executions were made{span}"
        )
        for decision, count in filled.decisions.items():
            if decision != "fired":
                obj.output.line(f"  {decision}: {count}")
        if gap.left:
            obj.output.note(f"{gap.left} more are left; run it again")

    obj.output.result(data, show)
