"""Retrying from the command line: by id, or all that a filter finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.why import Moment

if TYPE_CHECKING:
    from codex32.kernel.errors import Codex32Error
    from codex32.runtime import Runtime
    from codex32.services.executions.retrying import Retried, Retry

F = TypeVar("F", bound=Callable[..., Any])

#: Executions that one look brings, and that one commit retries.
PAGE = 500
CHUNK = 50
_ENDED = ("succeeded", "failed", "cancelled", "skipped")
CAUSES = ("error", "timeout", "lost", "budget", "capability", "invalid", "effect")


def retry_options(command: F) -> F:
    """The options that say how to retry."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask, neither before retrying in bulk "
                     "nor before sending effects again."),
        click.option("--dry-run", is_flag=True, help="Say what would be kept and repeated."),
        click.option("--again", is_flag=True, help="Also what was retried before."),
        click.option("--definition", type=click.Choice(["original", "current"]),
                     default="original", show_default=True,
                     help="The version it ran on, or the one that is live now."),
        click.option("--from", "point", metavar="POINT", help="start, failed, or a step's id. "
                     "Default: failed where it failed or was cancelled, else start."),
    ):  # fmt: skip
        command = option(command)
    return command


def filter_options(command: F) -> F:
    """The options that choose failures."""
    for option in (
        click.option("--since", type=Moment(), metavar="TIME",
                     help="Only since this time; 08:00 is today."),
        click.option("--cause", type=click.Choice(CAUSES), help="That failed because of this."),
        click.option("--bot", metavar="BOT", help="Of this bot."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@json_option
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(_ENDED),
    help="With this status; repeatable. Default: failed.",
)
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
    status: tuple[str, ...],
    **how: Any,
) -> None:
    """Do executions again that have ended, by id or all that a filter finds.

    Each retry is a new execution; what succeeded is kept, as far as --from says, and not done
    again. What was retried before is not retried twice. --since is when they were asked for.
    """
    from codex32.kernel.clock import to_micros
    from codex32.services.executions import executions as service
    from codex32.services.executions.listing import Query

    filtered = bool(bot or cause or since or status)
    if bool(ids) == filtered:
        raise click.UsageError(
            "name executions by id, or choose them with --bot, --status, --cause and --since"
        )
    query = Query(
        bot=bot,
        status=status or ("failed",),
        cause=cause,
        since=None if since is None else to_micros(since),
        limit=PAGE,
    )
    with obj.runtime(ring=True) as runtime:
        if ids:
            chosen = [runtime.door.read_now(service.find, each).id for each in ids]
        else:
            chosen = all_of(lambda last: _page(runtime, replace(query, beyond=last)))
        refused = retry_all(obj, runtime, chosen, ask=not ids, **how)
    if refused and ids:
        ctx.exit(failures.NOT_POSSIBLE)


def _page(runtime: Runtime, query: Any) -> list[str]:
    from codex32.services.executions.listing import listing

    return [row.id for row in runtime.door.read_now(listing, query)]


def all_of(page: Callable[[str | None], list[str]]) -> list[str]:
    """The ids of all pages; each is asked for with the last id of the one before."""
    found: list[str] = []
    while ids := page(found[-1] if found else None):
        found += ids
    return found


def retry_all(
    obj: Context,
    runtime: Runtime,
    ids: Sequence[str],
    *,
    ask: bool,
    point: str | None,
    definition: Any,
    again: bool,
    dry_run: bool,
    yes: bool,
) -> list[dict[str, Any]]:
    """Retry executions and tell of it; those that were refused, and why."""
    from codex32.services.executions.retrying import Retry

    wishes = [
        Retry(each, point, definition, again=again, repeat_effects=yes, by=obj.caller())
        for each in ids
    ]
    if ask and wishes and not (yes or dry_run):
        if obj.json:
            raise click.UsageError("retrying in bulk with --json needs --yes or --dry-run")
        click.confirm(f"retry {len(wishes)} executions?", abort=True, err=True)
    if not ask and not (yes or dry_run or obj.json):
        wishes = [_meant(obj, runtime, wish) for wish in wishes]
    answers = _carry_out(obj, runtime, wishes, dry_run=dry_run)
    done = [each for each in answers if not isinstance(each, Exception)]
    refused = [
        {"id": wish.execution_id, **failures.describe(each)[0]}
        for wish, each in zip(wishes, answers, strict=True)
        if isinstance(each, Exception)
    ]

    def show() -> None:
        for each in done:
            obj.output.line(_line(each))
            for note in each.notes:
                obj.output.note(f"  {note}")
        if not ids:
            obj.output.note("there is nothing to retry")
        for told in refused:
            obj.output.note(f"{told['id']}: {told['message']}")
            for problem in told["problems"]:
                obj.output.note(f"  {problem['text']}")

    obj.output.result({"retried": [each.as_dict() for each in done], "refused": refused}, show)
    return refused


def _meant(obj: Context, runtime: Runtime, wish: Retry) -> Retry:
    """Ask whether effects that were sent shall be sent again."""
    from codex32.kernel.errors import Codex32Error

    try:
        told = runtime.door.read_now(runtime.retrier.look, wish)
    except Codex32Error:
        return wish  # it is told with the others
    if not told.repeats:
        return wish
    obj.output.note(f"{wish.execution_id} has sent effects: {', '.join(told.repeats)}")
    click.confirm("send them once more?", abort=True, err=True)
    return replace(wish, repeat_effects=True)


def _carry_out(
    obj: Context, runtime: Runtime, wishes: Sequence[Retry], *, dry_run: bool
) -> list[Retried | Codex32Error]:
    from codex32.kernel.errors import Codex32Error

    retrier = runtime.retrier
    answers: list[Retried | Codex32Error] = []
    with obj.output.progress("retrying", len(wishes)) as advance:
        for start in range(0, len(wishes), CHUNK):
            chunk = wishes[start : start + CHUNK]
            if dry_run:
                for wish in chunk:
                    try:
                        answers.append(runtime.door.read_now(retrier.look, wish))
                    except Codex32Error as error:
                        answers.append(error)
            else:
                answers += runtime.door.write_now(partial(retrier.retry_many, chunk))
            advance(len(chunk))
    return answers


def _line(told: Retried) -> str:
    kept = f", keeping {', '.join(told.kept)}" if told.kept else ""
    repeats = f", sending {', '.join(told.repeats)} again" if told.repeats else ""
    if told.id is None:
        return f"{told.of} would be retried from {told.point}{kept}{repeats}"
    if told.repeated:
        return f"{told.id} is a retry of {told.of} that is there already; --again makes another"
    return f"{told.id} retries {told.of} from {told.point}{kept}{repeats}"
