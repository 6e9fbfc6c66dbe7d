"""``codex32 why``: why a bot was started, and why it was not."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option


class Moment(click.ParamType[datetime]):
    """A time of day today, or a date and time; with an offset, or of this machine's time zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The aware datetime of ``08:00`` or ``2026-05-01T08:00+02:00``."""
        if isinstance(value, datetime):
            return value
        today = f"{datetime.now():%Y-%m-%d}T"
        for text in (value, today + value):
            try:
                return datetime.fromisoformat(text).astimezone()
            except ValueError:
                continue
        self.fail(f"{value!r} is no time; write 08:00 or 2026-05-01T08:00", param, ctx)


@click.command()
@json_option
@workspace_option
@click.argument("bot")
@click.option(
    "--at", type=Moment(), metavar="TIME", help="Answers up to this time; 08:00 is today."
)
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@pass_context
def why(obj: Context, bot: str, at: datetime | None, limit: int, workspace: str) -> None:
    """Show when triggers were due, what was decided and why; and how things stand now."""
    from codex32.cli.follow import clock_text
    from codex32.kernel.clock import to_micros
    from codex32.services.triggers.why import why as ask

    moment = None if at is None else to_micros(at)
    with obj.runtime() as runtime:
        types = runtime.components.trigger_types
        asked = partial(ask, bot, limit=limit, at=moment, types=types, workspace=workspace)
        found = runtime.door.read_now(asked)

    def show() -> None:
        for reason in found.reasons:
            obj.output.line(reason)
        obj.output.table(
            ("due", "decision", "detail", "execution", "status"),
            [
                (
                    clock_text(each.occurrence.scheduled_at),
                    each.occurrence.decision,
                    each.occurrence.detail,
                    each.occurrence.execution_id,
                    each.status,
                )
                for each in found.answers
            ],
            "no trigger of it has been due yet",
        )

    obj.output.result(found.as_dict(), show)
