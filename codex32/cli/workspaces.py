"""``codex32 workspaces``: rooms of their own, and who belongs to them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.kernel.caller import Caller
    from codex32.runtime import Runtime

_NAME = click.argument("name", metavar="WORKSPACE")
_WHO = click.argument("who", metavar="USER")
_ROLES = ("admin", "user", "viewer", "api_user")


@click.group(cls=Group)
def workspaces() -> None:
    """Look after workspaces and their members."""


@workspaces.command("list")
@json_option
@pass_context
def list_(obj: Context) -> None:
    """List all workspaces by name."""
    from codex32.services.access import workspaces as service

    with obj.runtime() as runtime:
        found: list[Any] = runtime.door.read_now(partial(service.listing, None, limit=10_000))
    obj.output.result(
        {"workspaces": found},
        lambda: obj.output.table(
            ("name", "title", "made"),
            [(each["name"], each["title"], each["created_at"]) for each in found],
            "there are none",
        ),
    )


@workspaces.command()
@json_option
@_NAME
@click.option("--title", default="", metavar="TEXT", help="For people.")
@pass_context
def create(obj: Context, name: str, title: str) -> None:
    """Make a workspace, without members; its name stays for ever."""
    from codex32.services.access import workspaces as service

    if not service.NAME.fullmatch(name):
        raise click.UsageError("a name begins with a small letter; small letters, digits, -")
    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        work = partial(service.create, name, title, obj.caller(name), now)
        row = runtime.door.write_now(work)
    told = f"the workspace {name} is made; take somebody in: codex32 workspaces add {name} USER"
    obj.output.result(service.as_dict(row), lambda: obj.output.line(told))


@workspaces.command()
@json_option
@_NAME
@click.option("--purge", is_flag=True, help="With its collections and its history.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def delete(obj: Context, name: str, purge: bool, yes: bool) -> None:
    """Delete a workspace in which nothing is live, with the keys for it."""
    from codex32.services.access import workspaces as service

    with obj.runtime() as runtime:
        runtime.door.read_now(service.get, name)
        if not yes:
            more = " with its collections and its whole history" if purge else ""
            click.confirm(f"Delete the workspace {name}{more}?", abort=True, err=True)
        now, caller = runtime.clock.micros(), obj.caller(name)
        if purge:
            asyncio.run(_purge(runtime, name, caller, now))
        else:
            runtime.door.write_now(partial(service.delete, name, caller, now))
    obj.output.result({"name": name}, lambda: obj.output.line(f"{name} is deleted"))


@workspaces.command()
@json_option
@_NAME
@pass_context
def members(obj: Context, name: str) -> None:
    """List who belongs to a workspace."""
    from codex32.services.access import workspaces as service

    with obj.runtime() as runtime:
        runtime.door.read_now(service.get, name)
        found: list[Any] = runtime.door.read_now(partial(service.members, name, limit=10_000))
    obj.output.result(
        {"members": found},
        lambda: obj.output.table(
            ("username", "role", "name", "active", "since"),
            [(m["username"], m["role"], m["full_name"], m["active"], m["since"]) for m in found],
            "nobody belongs to it",
        ),
    )


@workspaces.command()
@json_option
@_NAME
@_WHO
@click.option("--role", default="user", type=click.Choice(_ROLES), show_default=True)
@pass_context
def add(obj: Context, name: str, who: str, role: str) -> None:
    """Take a user into a workspace, or give them another role there."""
    from codex32.kernel.permissions import Role
    from codex32.services.access import workspaces as service

    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        work = partial(service.put_member, name, who, Role(role), obj.caller(name), now)
        member: Any
        member, _ = runtime.door.write_now(work)
    told = f"{member['username']} is {role} in {name}"
    obj.output.result(member, lambda: obj.output.line(told))


@workspaces.command()
@json_option
@_NAME
@_WHO
@pass_context
def remove(obj: Context, name: str, who: str) -> None:
    """Remove a user from a workspace; their keys for it are revoked."""
    from codex32.services.access import workspaces as service

    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        runtime.door.write_now(partial(service.remove_member, name, who, obj.caller(name), now))
    told = f"{who} belongs to {name} no more"
    obj.output.result({"workspace": name, "user": who}, lambda: obj.output.line(told))


async def _purge(runtime: Runtime, name: str, caller: Caller, now: int) -> None:
    from codex32.services.retrieval.storing import Storing
    from codex32.services.upkeep.purging import Purge

    storing = Storing(runtime.door, runtime.components)
    try:
        purge = Purge(runtime.door, runtime.door.write, runtime.payloads, storing)
        await purge(name, caller, now)
    finally:
        await storing.close()
