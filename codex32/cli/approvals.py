"""``codex32 approvals``: what steps ask people, and deciding it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.runtime import Runtime

F = TypeVar("F", bound=Callable[..., Any])

_ID = click.argument("approval_id", metavar="ID")
_DECIDED = ("approved", "rejected", "expired", "cancelled")
_STATUSES = ("pending", *_DECIDED, "decided", "all")
_WIDTH = 60


@click.group(cls=Group)
def approvals() -> None:
    """Look at what steps ask people, and decide it.

    An id may be cut short; that of an execution stands for its one open approval.
    """


@approvals.command("list")
@json_option
@click.option(
    "--status",
    default="pending",
    type=click.Choice(_STATUSES),
    show_default=True,
    help="With this status; decided is all but pending.",
)
@click.option("--bot", metavar="BOT", help="Of this bot.")
@click.option("--execution", metavar="ID", help="Of this execution.")
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@click.option("--before", metavar="ID", help="Older than this one: the next page.")
@pass_context
def list_(
    obj: Context,
    status: str,
    bot: str | None,
    execution: str | None,
    limit: int,
    before: str | None,
) -> None:
    """List approvals, newest first: those that wait for somebody, if nothing else is asked."""
    from codex32.services.executions import approvals as service
    from codex32.services.executions import executions

    chosen = {"all": (), "decided": _DECIDED}.get(status, (status,))
    with obj.runtime() as runtime:
        read = runtime.door.read_now
        if execution is not None:
            execution = read(executions.find, execution).id
        query = service.Query(
            status=chosen, bot=bot, execution=execution, limit=limit, before=before
        )
        now = runtime.clock.micros()
        rows = read(service.listing, query, now)
        found: list[Any] = [service.as_dict(row, runtime.payloads, now) for row in rows]
    obj.output.result(
        {"approvals": found},
        lambda: obj.output.table(
            ("id", "bot", "step", "status", "asked", "expires", "text"),
            [
                (each["id"], each["bot"], _step(each), each["status"], each["created_at"],
                 each["expires_at"], _short(each["text"]))
                for each in found
            ],
            "nothing waits for a decision" if status == "pending" else "there are none",
        ),
    )  # fmt: skip


@approvals.command()
@json_option
@_ID
@pass_context
def show(obj: Context, approval_id: str) -> None:
    """Show an approval: what is asked, what is to be filled in, what was decided."""
    with obj.runtime() as runtime:
        found = _look(runtime, approval_id)
    obj.output.result(found, lambda: _show(obj, found))


def _decision_options(command: F) -> F:
    for option in (
        click.option(
            "--by", metavar="NAME", help="Who decides; default: the name you log in with."
        ),
        click.option("--note", metavar="TEXT", help="Why; later steps can read it."),
        click.option(
            "--field",
            "fields",
            multiple=True,
            metavar="NAME=VALUE",
            help="Fill in a field of the form; repeatable. A text as it stands, all else as JSON.",
        ),
        _ID,
        json_option,
    ):
        command = option(command)
    return command


@approvals.command()
@_decision_options
@pass_context
def approve(obj: Context, /, **given: Any) -> None:
    """Approve; the execution goes on. The first decision counts."""
    _decide(obj, "approved", **given)


@approvals.command()
@_decision_options
@pass_context
def reject(obj: Context, /, **given: Any) -> None:
    """Reject; the execution goes on and sees it. The first decision counts."""
    _decide(obj, "rejected", **given)


def _decide(
    obj: Context,
    verdict: Literal["approved", "rejected"],
    *,
    approval_id: str,
    fields: tuple[str, ...],
    note: str | None,
    by: str | None,
) -> None:
    from codex32.cli.inputs import read_fields
    from codex32.services.executions import approvals as service

    with obj.runtime(ring=True) as runtime:
        found = _look(runtime, approval_id)
        form = found["form"] or {}
        decision = service.Decision(
            verdict,
            _name() if by is None else by,
            read_fields(form.get("properties", {}), fields),
            note,
        )
        now, payloads = runtime.clock.micros(), runtime.payloads
        work = partial(service.decide, found["id"], decision, now, payloads, caller=obj.caller())
        runtime.door.write_now(work)
        found = _look(runtime, found["id"])
    told = f"{found['id']} {verdict} by {found['by']}; {found['execution']} goes on"
    obj.output.result(found, lambda: obj.output.line(told))


def _look(runtime: Runtime, approval_id: str) -> dict[str, Any]:
    from codex32.services.executions import approvals as service

    row = runtime.door.read_now(service.find, approval_id)
    return service.as_dict(row, runtime.payloads, runtime.clock.micros())


def _name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for its user
        raise click.UsageError("the system does not say who you are; write --by NAME") from None


def _show(obj: Context, found: Mapping[str, Any]) -> None:
    out = obj.output
    answered = json.dumps(found["answer"], ensure_ascii=False) if found["answer"] else None
    out.facts(
        [
            ("approval", found["id"]),
            ("execution", found["execution"]),
            ("bot", found["bot"]),
            ("step", _step(found)),
            ("status", found["status"]),
            ("asked", found["created_at"]),
            ("to", ", ".join(found["to"])),
            ("expires", found["expires_at"]),
            ("then", found["on_expire"] if found["expires_at"] else None),
            ("decided", found["decided_at"]),
            ("by", found["by"]),
            ("note", found["note"]),
            ("answer", answered),
        ]
    )
    out.line()
    out.line(found["text"])
    form = found["form"]
    if form:
        out.line()
        for name, schema in form["properties"].items():
            needed = "  (needed to approve)" if name in form["required"] else ""
            out.line(f"    {name}  {json.dumps(schema, ensure_ascii=False)}{needed}")
    if found["status"] == "pending":
        wanted = [f" --field {name}=…" for name in (form or {}).get("required", ())]
        out.line()
        out.line(f"answer: codex32 approvals approve {found['id']}{''.join(wanted)}")
        out.line(f"    or: codex32 approvals reject {found['id']}")


def _step(found: Mapping[str, Any]) -> str:
    item = "" if found["item"] is None else f"[{found['item']}]"
    return f"{found['step']}{item}"


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
