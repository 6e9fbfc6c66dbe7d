"""``codex32 connections``: destinations that steps reach by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

_NAME = click.argument("name", metavar="NAME")


@click.group(cls=Group)
def connections() -> None:
    """Look after destinations that steps reach by name, with references to their secrets."""


@connections.command("set")
@json_option
@workspace_option
@_NAME
@click.option("--type", "kind", required=True, metavar="TYPE", help="http, postgresql, smtp, …")
@click.option("--host", required=True, metavar="HOST", help="A name or an address alone.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: the usual one of the type.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="What else the type needs; repeatable. JSON where it is JSON, else a text.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=SECRET",
    help="What is secret, and the name of the secret: password=CRM_PASSWORD; repeatable.",
)
@pass_context
def set_(
    obj: Context,
    name: str,
    kind: str,
    host: str,
    port: int | None,
    options: tuple[str, ...],
    secrets: tuple[str, ...],
    workspace: str,
) -> None:
    """Make a connection, or put another in its place."""
    from codex32.services.access import workspaces
    from codex32.services.safe import connections as service

    given = {key: _value(text) for key, text in _pairs(options, "--option").items()}
    wish = service.Wish(kind, host, port, given, _pairs(secrets, "--secret"))
    with obj.runtime() as runtime:
        runtime.door.read_now(workspaces.get, workspace)
        now, caller = runtime.clock.micros(), obj.caller(workspace)
        work = partial(service.write, name, wish, caller, now, workspace=workspace)
        found = service.as_dict(runtime.door.write_now(work))
    obj.output.result(found, lambda: obj.output.line(f"{name} is set"))


@connections.command("list")
@json_option
@workspace_option
@pass_context
def list_(obj: Context, workspace: str) -> None:
    """List connections, without the values of their secrets."""
    from codex32.services.safe import connections as service

    with obj.runtime() as runtime:
        read = partial(service.listing, workspace=workspace, limit=100_000)
        found: list[Any] = [service.as_dict(row) for row in runtime.door.read_now(read)]
    obj.output.result(
        {"connections": found},
        lambda: obj.output.table(
            ("name", "type", "host", "port", "secrets", "set", "by"),
            [
                (each["name"], each["type"], each["host"], each["port"],
                 ", ".join(each["secrets"].values()), each["updated_at"], each["updated_by"])
                for each in found
            ],
            "there are no connections; make one with: codex32 connections set NAME",
        ),
    )  # fmt: skip


@connections.command()
@json_option
@workspace_option
@_NAME
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@pass_context
def delete(obj: Context, name: str, workspace: str, dry_run: bool) -> None:
    """Delete a connection; steps that ask for it from now on fail."""
    from codex32.services.safe import connections as service

    with obj.runtime() as runtime:
        if dry_run:
            runtime.door.read_now(partial(service.get, name, workspace=workspace))
        else:
            now, caller = runtime.clock.micros(), obj.caller(workspace)
            work = partial(service.delete, name, caller, now, workspace=workspace)
            runtime.door.write_now(work)
    told = "would be deleted" if dry_run else "deleted"
    data = {"name": name, "deleted": not dry_run}
    obj.output.result(data, lambda: obj.output.line(f"{name} {told}"))


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{option} {text}: write NAME=VALUE")
        pairs[key] = value
    return pairs


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
