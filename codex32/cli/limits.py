"""``codex32 limits``: the rate limits of bots, and when they are free."""

from __future__ import annotations

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group


@click.group(cls=Group)
def limits() -> None:
    """Look at rate limits."""


@limits.command("list")
@json_option
@pass_context
def list_(obj: Context) -> None:
    """List the rate limits that were asked lately: their last rule, and when they are free."""
    from codex32.cli.follow import clock_text
    from codex32.kernel.text import format_duration
    from codex32.services.executions import limits as service

    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        found = runtime.door.read_now(service.listing, now)
    obj.output.result(
        {"limits": [each.as_dict() for each in found]},
        lambda: obj.output.table(
            ("key", "limit", "per", "asked", "free"),
            [
                (
                    each.key,
                    str(each.rule.limit),
                    format_duration(each.rule.per_micros / 1e6),
                    clock_text(each.asked_at),
                    "now" if each.next_at <= now else clock_text(each.next_at),
                )
                for each in found
            ],
            "no rate limit was asked lately",
        ),
    )
