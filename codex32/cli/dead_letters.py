"""``codex32 dead-letters``: what failed, and what nobody has looked after yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.executions import show
from codex32.cli.groups import Group
from codex32.cli.retrying import (
    CHUNK,
    PAGE,
    all_of,
    filter_options,
    retry_all,
    retry_options,
)

if TYPE_CHECKING:
    from codex32.runtime import Runtime
    from codex32.services.executions.dead_letters import Query

_IDS = click.argument("ids", nargs=-1, metavar="[ID]...")
_ALL = click.option("--all", "every", is_flag=True, help="All dead letters.")


@click.group("dead-letters", cls=Group)
def dead_letters() -> None:
    """Look after executions that failed, and that nobody has retried or dismissed."""


dead_letters.add_command(show)


@dead_letters.command("list")
@json_option
@filter_options
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@click.option("--all", "every", is_flag=True, help="All of them, whatever --limit says.")
@click.option("--before", metavar="ID", help="Older than this one: the next page.")
@pass_context
def list_(
    obj: Context,
    bot: str | None,
    cause: str | None,
    since: datetime | None,
    limit: int,
    every: bool,
    before: str | None,
) -> None:
    """List dead letters, newest first."""
    from codex32.cli.follow import clock_text
    from codex32.services.executions import dead_letters as service
    from codex32.services.executions.executions import as_dict

    query = replace(_query(bot, cause, since), limit=limit, before=before)
    with obj.runtime() as runtime:
        rows = runtime.door.read_now(service.listing, query)
        while every and rows and len(rows) % limit == 0:
            more = runtime.door.read_now(service.listing, replace(query, before=rows[-1].id))
            if not more:
                break
            rows += more
        count = runtime.door.read_now(service.count, query)

    def tell() -> None:
        obj.output.table(
            ("id", "bot", "cause", "ended", "message"),
            [
                (row.id, row.bot_name, row.cause, clock_text(row.finished_at), row.message)
                for row in rows
            ],
            "no failure waits for anybody",
        )
        if count > len(rows) and before is None:
            obj.output.note(f"{len(rows)} of {count}; --all shows the others")

    obj.output.result({"dead_letters": [as_dict(row) for row in rows], "count": count}, tell)


@dead_letters.command()
@json_option
@_IDS
@filter_options
@_ALL
@retry_options
@pass_context
@click.pass_context
def retry(
    ctx: click.Context,
    obj: Context,
    /,
    ids: tuple[str, ...],
    bot: str | None,
    cause: str | None,
    since: datetime | None,
    every: bool,
    **how: Any,
) -> None:
    """Retry dead letters, by id or all that a filter finds; they leave the list."""
    _check_choice(ids, bot, cause, since, every)
    with obj.runtime(ring=True) as runtime:
        chosen = _chosen(runtime, ids, _query(bot, cause, since))
        refused = retry_all(obj, runtime, chosen, ask=not ids, **how)
    if refused and ids:
        ctx.exit(failures.NOT_POSSIBLE)


@dead_letters.command()
@json_option
@_IDS
@filter_options
@_ALL
@click.option("--note", default="", help="Why nothing more is to be done about them.")
@click.option("--yes", is_flag=True, help="Do not ask before dismissing in bulk.")
@click.option("--dry-run", is_flag=True, help="Say what would be dismissed.")
@pass_context
def dismiss(
    obj: Context,
    ids: tuple[str, ...],
    bot: str | None,
    cause: str | None,
    since: datetime | None,
    every: bool,
    note: str,
    yes: bool,
    dry_run: bool,
) -> None:
    """Take dead letters off the list without doing them again."""
    from codex32.services.executions import dead_letters as service

    _check_choice(ids, bot, cause, since, every)
    with obj.runtime() as runtime:
        chosen = _chosen(runtime, ids, _query(bot, cause, since))
        if not ids and chosen and not (yes or dry_run):
            if obj.json:
                raise click.UsageError("dismissing in bulk with --json needs --yes or --dry-run")
            click.confirm(f"dismiss {len(chosen)} dead letters?", abort=True, err=True)

        def work(chunk: list[str]) -> None:
            now = runtime.clock.micros()
            for each in chunk:
                service.dismiss(each, obj.caller(), note, now)

        with obj.output.progress("dismissing", len(chosen)) as advance:
            for start in range(0, 0 if dry_run else len(chosen), CHUNK):
                runtime.door.write_now(partial(work, chosen[start : start + CHUNK]))
                advance(CHUNK)

    def tell() -> None:
        for each in chosen:
            obj.output.line(f"{each} {'would be dismissed' if dry_run else 'dismissed'}")
        if not chosen:
            obj.output.note("no failure waits for anybody")

    obj.output.result({"dismissed": [] if dry_run else chosen, "chosen": chosen}, tell)


def _check_choice(ids: tuple[str, ...], *filters: Any) -> None:
    if bool(ids) == any(filters):
        raise click.UsageError(
            "name dead letters by id, or choose them with --bot, --cause, --since or --all"
        )


def _query(bot: str | None, cause: str | None, since: datetime | None) -> Query:
    from codex32.kernel.clock import to_micros
    from codex32.services.executions.dead_letters import Query

    return Query(bot=bot, cause=cause, since=None if since is None else to_micros(since))


def _chosen(runtime: Runtime, ids: tuple[str, ...], query: Query) -> list[str]:
    from codex32.services.executions import dead_letters as service
    from codex32.services.executions import executions

    if ids:
        return [runtime.door.read_now(executions.find, each).id for each in ids]

    def page(last: str | None) -> list[str]:
        wanted = replace(query, before=last, limit=PAGE)
        return [row.id for row in runtime.door.read_now(service.listing, wanted)]

    return all_of(page)
