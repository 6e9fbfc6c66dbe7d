"""``codex32 webhooks``: events of a workspace, sent to addresses of your own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

_ID = click.argument("webhook", metavar="ID")


@click.group(cls=Group)
def webhooks() -> None:
    """Send events to addresses, and see what became of it. Those that come in are `hooks`."""


@webhooks.command("list")
@json_option
@workspace_option
@pass_context
def list_(obj: Context, workspace: str) -> None:
    """List outbound webhooks, and how they do."""
    from codex32.services.events import outbound_endpoints as service

    with obj.runtime() as runtime:
        read = partial(service.listing, workspace=workspace, limit=service.MOST_ENDPOINTS)
        found = [service.as_dict(row) for row in runtime.door.read_now(read)]

    def show() -> None:
        obj.output.table(
            ("id", "url", "events", "state", "delivered", "failed"),
            [
                (
                    each["id"],
                    each["url"],
                    " ".join(each["events"]),
                    _state(each),
                    each["delivered"],
                    each["failed"],
                )
                for each in found
            ],
            "nothing is sent anywhere; begin with: codex32 webhooks add URL --event NAME",
        )

    obj.output.result({"webhooks": found}, show)


@webhooks.command()
@json_option
@workspace_option
@click.argument("url", metavar="URL")
@click.option(
    "--event", "events", multiple=True, required=True, help="A name or a pattern; repeatable."
)
@click.option("--description", default="", help="For people.")
@pass_context
def add(obj: Context, url: str, events: tuple[str, ...], description: str, workspace: str) -> None:
    """Have events sent to URL; shows the secret that signs them, once."""
    from codex32.services.events import outbound_endpoints as service

    wish = service.Wish(url=url, events=events, description=description)
    row, secret = _write(obj, workspace, service.create, wish, vault=True)

    def show() -> None:
        obj.output.line(f"{row.id} is told of {' '.join(events)}")
        obj.output.line(f"its secret, which is not shown again: {secret}")

    obj.output.result({**service.as_dict(row), "secret": secret}, show)


@webhooks.command()
@json_option
@workspace_option
@_ID
@click.option("--off/--on", "off", default=False, help="Disable it, or enable it [on].")
@pass_context
def switch(obj: Context, webhook: str, off: bool, workspace: str) -> None:
    """Enable an outbound webhook, which forgives what failed so far, or disable it."""
    from codex32.services.events import outbound_endpoints as service

    row = _write(obj, workspace, service.change, webhook, service.Wish(enabled=not off))
    told = f"{webhook} is {'disabled' if off else 'enabled'}"
    obj.output.result(service.as_dict(row), lambda: obj.output.line(told))


@webhooks.command()
@json_option
@workspace_option
@_ID
@click.option("--keep-hours", type=click.FloatRange(0, 168), default=24.0, show_default=True)
@pass_context
def rotate(obj: Context, webhook: str, keep_hours: float, workspace: str) -> None:
    """Give it another secret; the one before signs beside it for a while."""
    from codex32.services.events import outbound_endpoints as service

    work = partial(service.rotate, keep_seconds=keep_hours * 3600)
    secret = _write(obj, workspace, work, webhook, vault=True)
    told = f"its new secret, which is not shown again: {secret}"
    obj.output.result({"id": webhook, "secret": secret}, lambda: obj.output.line(told))


@webhooks.command()
@json_option
@workspace_option
@_ID
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@pass_context
def delete(obj: Context, webhook: str, dry_run: bool, workspace: str) -> None:
    """Delete an outbound webhook with its deliveries."""
    from codex32.services.events import outbound_endpoints as service

    if dry_run:
        with obj.runtime() as runtime:
            runtime.door.read_now(partial(service.get, webhook, workspace=workspace))
    else:
        _write(obj, workspace, service.delete, webhook)
    told = f"{webhook} {'would be' if dry_run else 'is'} deleted"
    data = {"id": webhook, "deleted": not dry_run}
    obj.output.result(data, lambda: obj.output.line(told))


@webhooks.command()
@json_option
@workspace_option
@_ID
@pass_context
def test(obj: Context, webhook: str, workspace: str) -> None:
    """Send `webhook.test` to it, to see whether it arrives; a scheduler sends it."""
    from codex32.services.events import outbound_deliveries as service

    row = _write(obj, workspace, service.ping, webhook)
    told = f"{row.id} is on its way; see: codex32 webhooks deliveries {webhook}"
    obj.output.result(service.as_dict(row), lambda: obj.output.line(told))


@webhooks.command()
@json_option
@workspace_option
@_ID
@click.option("--status", type=click.Choice(["pending", "delivered", "failed"]), help="Only such.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@pass_context
def deliveries(obj: Context, webhook: str, status: str | None, limit: int, workspace: str) -> None:
    """List what was sent to it, newest first, with the last answer."""
    from codex32.services.events import outbound_deliveries as service

    def read() -> list[dict[str, Any]]:
        found = service.listing(webhook, workspace=workspace, status=status, limit=limit)
        return [service.detail(row) for row in found]

    with obj.runtime() as runtime:
        found = runtime.door.read_now(read)

    def show() -> None:
        obj.output.table(
            ("id", "event", "status", "tries", "last attempt", "next"),
            [
                (
                    each["id"],
                    each["name"],
                    each["status"],
                    each["tries"],
                    _last(each),
                    each["next_at"] or "",
                )
                for each in found
            ],
            "nothing was sent to it yet",
        )

    obj.output.result({"deliveries": found}, show)


@webhooks.command()
@json_option
@workspace_option
@_ID
@click.argument("delivery", metavar="[DELIVERY]", required=False)
@click.option("--since", type=click.DateTime(), help="All that was given up since (local time).")
@click.option("--until", type=click.DateTime(), help="And before then; default: now.")
@click.option("--all", "every", is_flag=True, help="Also what was delivered.")
@pass_context
def replay(
    obj: Context,
    webhook: str,
    delivery: str | None,
    since: datetime | None,
    until: datetime | None,
    every: bool,
    workspace: str,
) -> None:
    """Send a delivery again, or those of a time, in the order of the events, under their ids."""
    from codex32.kernel.clock import to_micros
    from codex32.services.events import outbound_deliveries as service

    if (delivery is None) == (since is None) or (since is None and (until or every)):
        raise click.UsageError("name a delivery, or a time with --since")
    if delivery is not None:
        _write(obj, workspace, service.replay, webhook, delivery)
        count = 1
    else:
        assert since is not None
        end = None if until is None else to_micros(until.astimezone())
        wanted = service.Range(to_micros(since.astimezone()), end, every)
        count = _write(obj, workspace, service.replay_range, webhook, wanted)
    told = f"{count} deliver{'y is' if count == 1 else 'ies are'} sent again"
    obj.output.result({"deliveries": count}, lambda: obj.output.line(told))


def _write(
    obj: Context, workspace: str, work: Callable[..., Any], *given: Any, vault: bool = False
) -> Any:
    """What a write gives, done by whoever sits at the command line."""
    with obj.runtime() as runtime:
        first = (runtime.vault,) if vault else ()
        caller, now = obj.caller(workspace), runtime.clock.micros()
        return runtime.door.write_now(
            partial(work, *first, *given, caller, now, workspace=workspace)
        )


def _state(webhook: dict[str, Any]) -> str:
    if not webhook["enabled"]:
        because = webhook["disabled_because"]
        return f"disabled: {because}" if because else "disabled"
    return f"failing since {webhook['failing_since']}" if webhook["failing_since"] else "enabled"


def _last(delivery: dict[str, Any]) -> str:
    if not delivery["attempts"]:
        return ""
    last = delivery["attempts"][-1]
    return f"{last['outcome']} {last['status'] or ''}".strip()
