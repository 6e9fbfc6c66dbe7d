"""``codex32 executions``: what ran, what it did, and what shall become of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group
from codex32.cli.inputs import json_of
from codex32.cli.repairing import repair
from codex32.cli.retrying import CAUSES, retry
from codex32.cli.why import Moment

if TYPE_CHECKING:
    from codex32.kernel.models import ExecutionRow
    from codex32.runtime import Runtime
    from codex32.services.executions.executions import Inspection
    from codex32.services.executions.resolving import Decision

_ID = click.argument("execution_id", metavar="ID")
_LOOK_EVERY_SECONDS = 0.25
#: Executions that one bulk cancellation takes at a time.
_PAGE = 500
_STATUSES = ("queued", "running", "waiting", "succeeded", "failed", "cancelled", "skipped")
_STATUS = click.option(
    "--status", multiple=True, type=click.Choice(_STATUSES), help="With this status; repeatable."
)
_BOT = click.option("--bot", metavar="BOT", help="Of this bot.")


@click.group(cls=Group)
def executions() -> None:
    """Look at executions, cancel them, start them again. An id may be cut short."""


@executions.command("list")
@json_option
@_BOT
@_STATUS
@click.option("--cause", type=click.Choice(CAUSES), help="That failed because of this.")
@click.option("--trigger", metavar="KIND", help="Started by this kind: cron, manual, api …")
@click.option(
    "--since", type=Moment(), metavar="TIME", help="Only since this time; 08:00 is today."
)
@click.option("--until", type=Moment(), metavar="TIME", help="Only before this time.")
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@click.option("--before", metavar="ID", help="Older than this one: the next page.")
@pass_context
def list_(
    obj: Context,
    bot: str | None,
    status: tuple[str, ...],
    cause: str | None,
    trigger: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    before: str | None,
) -> None:
    """List executions, newest first."""
    from codex32.cli.follow import clock_text
    from codex32.kernel.clock import to_micros
    from codex32.services.executions import executions as service
    from codex32.services.executions.listing import Query, listing

    query = Query(
        bot=bot,
        status=status,
        cause=cause,
        trigger_kind=trigger,
        since=None if since is None else to_micros(since),
        until=None if until is None else to_micros(until),
        limit=limit,
        beyond=before,
    )
    with obj.runtime() as runtime:
        rows = runtime.door.read_now(listing, query)
    filtered = any((bot, status, cause, trigger, since, until))
    obj.output.result(
        {"executions": [service.as_dict(row) for row in rows]},
        lambda: obj.output.table(
            ("id", "bot", "status", "trigger", "started", "took", "message"),
            [
                (r.id, r.bot_name, r.status, r.trigger_kind, clock_text(r.started_at), took(r),
                 r.message)
                for r in rows
            ],
            "there are none" if filtered else "nothing has been executed yet",
        ),
    )  # fmt: skip


@executions.command()
@json_option
@_ID
@pass_context
def show(obj: Context, execution_id: str) -> None:
    """Show an execution: its steps with input, output and error."""
    from codex32.services.executions import executions as service
    from codex32.services.executions.telling import step_as_dict
    from codex32.tracing import detail

    with obj.runtime() as runtime:
        row = runtime.door.read_now(service.find, execution_id)
        found = runtime.door.read_now(service.inspect, row.id)
        about = runtime.settings, runtime.payloads, found.execution
        data = runtime.door.read_now(detail, *about)
        data["steps"] = [step_as_dict(each, runtime.payloads) for each in found.steps]
        data["approvals"] = _open_approvals(runtime, found.execution)
    data["attempts"] = [
        {"number": each.number, "worker": each.worker, "outcome": each.outcome}
        for each in found.attempts
    ]
    obj.output.result(data, lambda: _show(obj, found, data))


def _open_approvals(runtime: Runtime, row: ExecutionRow) -> list[dict[str, Any]]:
    """What the execution asks people, as far as they can still decide it."""
    from codex32.services.executions import approvals

    if row.finished_at is not None or row.started_at is None:
        return []
    now = runtime.clock.micros()
    asked = runtime.door.read_now(approvals.listing, approvals.Query(execution=row.id), now)
    return [approvals.as_dict(each, runtime.payloads, now) for each in reversed(asked)]


def _diagnosis(told: dict[str, Any] | None) -> list[tuple[str, str | None]]:
    from codex32.services.executions.diagnosis import place, place_beneath

    if told is None:
        return []
    return [
        ("trouble", told["trouble"]),
        ("where", place(told)),
        ("beneath", place_beneath(told)),
        ("remedy", told["remedy"]),
    ]


def _show(obj: Context, found: Inspection, data: dict[str, Any]) -> None:
    from codex32.cli.follow import clock_text, step_text, traceback_lines
    from codex32.cli.output import STYLES

    out, row = obj.output, found.execution
    out.facts(
        [
            ("execution", row.id),
            ("bot", f"{row.bot_name} version {row.version_number}"),
            ("status", row.status),
            ("cause", row.cause),
            ("message", row.message),
            *_diagnosis(data["diagnosis"]),
            ("trigger", row.trigger_kind),
            ("started by", _caller(data["started_by"])),
            ("parent", row.parent_id),
            ("retry of", row.retry_of),
            ("retried by", ", ".join(data["retried_by"])),
            ("settled", _settled(data["settled"])),
            ("created", clock_text(row.created_at)),
            ("started", clock_text(row.started_at)),
            ("ended", clock_text(row.finished_at)),
            ("took", took(row)),
            ("trace", data["trace"] and (data["trace"]["url"] or data["trace"]["id"])),
            ("attempts", row.attempt if row.attempt > 1 else None),
            ("inputs", _compact(data["inputs"]) if data["inputs"] else None),
            ("output", _compact(data["output"]) if data["output"] is not None else None),
        ]
    )
    if found.steps:
        out.line()
    for step, told in zip(found.steps, data["steps"], strict=True):
        out.line(step_text(step), STYLES.get(step.status))
        for line in traceback_lines(step):
            out.line(line)
        for name in ("input", "output"):
            if told[name] is not None:
                out.line(f"    {name}  {_compact(told[name])}", "dim")
    for asked in data["approvals"]:
        out.line()
        out.line(f"{asked['step']} asks: {asked['text']}", "yellow")
        out.line(f"    answer: codex32 approvals approve|reject {asked['id']}")


@executions.command()
@json_option
@_ID
@click.option("-f", "--follow", is_flag=True, help="Go on until the execution has ended.")
@pass_context
def logs(obj: Context, execution_id: str, follow: bool) -> None:
    """Print an execution's log lines; with --json, one document a line."""
    from codex32.cli.follow import LEVELS, clock_text, line_as_dict, line_text
    from codex32.services.executions import executions as service

    last = 0
    with obj.runtime() as runtime:
        read = runtime.door.read_now
        row = read(service.find, execution_id)
        while True:
            # Looked at before the lines, so that those of the end are not missed.
            ended = read(service.get, row.id).finished_at is not None
            while lines := read(partial(service.log_lines, row.id, after=last)):
                last = lines[-1].id
                for line in lines:
                    if obj.json:
                        text = json.dumps(line_as_dict(line), ensure_ascii=False)
                        print(text, file=obj.output.stdout, flush=True)
                    else:
                        told = f"{clock_text(line.at)}  {line_text(line)}"
                        obj.output.line(told, LEVELS.get(line.level))
            if ended or not follow:
                return
            time.sleep(_LOOK_EVERY_SECONDS)


@executions.command()
@json_option
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_BOT
@_STATUS
@click.option("--yes", is_flag=True, help="Do not ask before cancelling in bulk.")
@pass_context
@click.pass_context
def cancel(
    ctx: click.Context,
    obj: Context,
    ids: tuple[str, ...],
    bot: str | None,
    status: tuple[str, ...],
    yes: bool,
) -> None:
    """Cancel executions, by id or all of a bot or status that have not ended."""
    if bool(ids) == bool(bot or status):
        raise click.UsageError("name executions by id, or choose them with --bot and --status")
    with obj.runtime(ring=True) as runtime:
        chosen = _by_id(runtime, ids) if ids else _open(runtime, bot, status)
        if not ids and chosen and not yes:
            if obj.json:
                raise click.UsageError("cancelling in bulk with --json needs --yes")
            click.confirm(f"cancel {len(chosen)} executions?", abort=True, err=True)
        done, refused = _cancel(obj, runtime, chosen)

    def show() -> None:
        for row in done:
            word = "cancelled" if row.finished_at is not None else "cancelling"
            obj.output.line(f"{row.id} {word}")
        if not chosen:
            obj.output.note("there is nothing to cancel")
        for told in refused:
            obj.output.note(told["message"])

    data = [{"id": row.id, "status": row.status} for row in done]
    obj.output.result({"cancelled": data, "refused": refused}, show)
    if refused and ids:
        ctx.exit(failures.NOT_POSSIBLE)


def _by_id(runtime: Runtime, ids: Sequence[str]) -> list[str]:
    from codex32.services.executions import executions as service

    return [runtime.door.read_now(service.find, each).id for each in ids]


def _open(runtime: Runtime, bot: str | None, status: Sequence[str]) -> list[str]:
    """All executions of a bot or status that have not ended."""
    from codex32.kernel.statuses import FINAL
    from codex32.services.executions.listing import Query, listing

    wanted = [each for each in status or _STATUSES if each not in FINAL]
    found: list[str] = []
    while wanted:
        query = Query(bot=bot, status=wanted, limit=_PAGE, beyond=found[-1] if found else None)
        page = runtime.door.read_now(listing, query)
        found += [row.id for row in page]
        if len(page) < _PAGE:
            break
    return found


def _cancel(
    obj: Context, runtime: Runtime, ids: Sequence[str]
) -> tuple[list[ExecutionRow], list[dict[str, str]]]:
    """Cancel ``ids``, a page in a commit; their rows, and those that had ended already."""
    from codex32.kernel.errors import InvalidTransition
    from codex32.kernel.statuses import Status
    from codex32.services.executions import executions as service

    done: list[ExecutionRow] = []
    refused: list[dict[str, str]] = []
    with obj.output.progress("cancelling", len(ids)) as advance:
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            now = runtime.clock.micros()
            work = partial(service.cancel_all, page, now, by=obj.caller())
            over = set(runtime.door.write_now(work).over)
            rows = runtime.door.read_now(service.get_many, page)
            done += [row for row in rows if row.id not in over]
            for row in rows:
                if row.id in over:
                    error = InvalidTransition(row.id, row.status, Status.CANCELLED)
                    refused.append({"id": row.id, "message": error.message})
            advance(len(page))
    return done, refused


executions.add_command(retry)
executions.add_command(repair)


@executions.command()
@json_option
@_ID
@click.option("--step", metavar="STEP", help="Only this step; default: all that are unknown.")
@click.option("--item", type=click.IntRange(0), help="Only this item of its foreach, from 0.")
@click.option("--sent", "decision", flag_value="sent", help="It happened: go on after it.")
@click.option("--not-sent", "decision", flag_value="not-sent", help="It did not: do it again.")
@click.option("--fail", "decision", flag_value="fail", help="Take the step for failed.")
@click.option(
    "--output",
    metavar="JSON|@FILE",
    help="With --sent: what it was answered with, for the steps after it.",
)
@pass_context
def resolve(
    obj: Context,
    execution_id: str,
    step: str | None,
    item: int | None,
    decision: Decision | None,
    output: str | None,
) -> None:
    """Decide about an effect of which nobody can tell whether it happened."""
    from codex32.services.executions import executions as service
    from codex32.services.executions.resolving import resolve as decide

    if item is not None and step is None:
        raise click.UsageError("--item needs --step: say whose item it is")
    if decision is None:
        raise click.UsageError("say what happened: --sent, --not-sent or --fail")
    if output is not None and decision != "sent":
        raise click.UsageError("--output needs --sent: nothing else has an output")
    answer = json_of("--output", output)
    with obj.runtime(ring=True) as runtime:
        row = runtime.door.read_now(service.find, execution_id)
        now = runtime.clock.micros()
        work = partial(
            decide,
            row.id,
            decision,
            now,
            step=step,
            item=item,
            output=answer,
            payloads=runtime.payloads,
            by=obj.caller(),
        )
        steps = [each.step for each in runtime.door.write_now(work)]
    obj.output.result(
        {"id": row.id, "steps": steps, "decision": decision},
        lambda: obj.output.line(f"{row.id}: {', '.join(steps)} {decision}; it goes on"),
    )


def _caller(by: dict[str, str] | None) -> str | None:
    if by is None:
        return None
    place = f" from {by['address']}" if by["address"] else ""
    return f"{by['name']} ({by['kind']} {by['id']}){place}"


def _settled(told: dict[str, Any] | None) -> str | None:
    """How somebody looked after a failure; that it was retried is told by its retries."""
    if told is None or told["as"] != "dismissed":
        return None
    note = f": {told['note']}" if told["note"] else ""
    return f"dismissed by {told['by'] or 'somebody'}{note}"


def took(row: ExecutionRow) -> str:
    """How long an execution took, or has been under way."""
    from codex32.kernel.text import format_duration

    if row.started_at is None or row.finished_at is None:
        return ""
    return format_duration((row.finished_at - row.started_at) / 1e6)


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
