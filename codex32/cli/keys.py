"""``codex32 keys``: programs' access to one workspace."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.kernel.account_rows import ApiKeyRow

_DAY_MICROS = 86_400_000_000


@click.group(cls=Group)
def keys() -> None:
    """Look after API keys."""


@keys.command("list")
@json_option
@workspace_option
@click.option("--all", "revoked", is_flag=True, help="Those that were revoked, too.")
@pass_context
def list_(obj: Context, workspace: str, revoked: bool) -> None:
    """List the API keys of a workspace, newest first."""
    from codex32.services.access import keys as service

    with obj.runtime() as runtime:
        look = partial(service.listing, workspace=workspace, revoked=revoked, limit=10_000)
        found: list[Any] = [service.as_dict(row) for row in runtime.door.read_now(look)]
    obj.output.result(
        {"keys": found},
        lambda: obj.output.table(
            ("id", "prefix", "name", "owner", "expires", "last used", "scopes"),
            [
                (k["id"], k["prefix"], k["name"], k["owner"], k["expires_at"], k["last_used_at"],
                 " ".join(k["scopes"]))
                for k in found
            ],
            "there are none",
        ),
    )  # fmt: skip


@keys.command()
@json_option
@workspace_option
@click.option("--owner", required=True, metavar="USER", help="Whose rights bound the key.")
@click.option("--name", required=True, metavar="TEXT", help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="PERMISSION",
    help="What it may do, such as bots.execute; repeatable.",
)
@click.option("--days", default=90, type=click.IntRange(1, 366), show_default=True)
@pass_context
def create(
    obj: Context, workspace: str, owner: str, name: str, scopes: tuple[str, ...], days: int
) -> None:
    """Make an API key; it is shown this once and stands nowhere."""
    from codex32.services.access import accounts, recognition
    from codex32.services.access import keys as service
    from codex32.services.access import workspaces as rooms

    with obj.runtime() as runtime:
        now, caller = runtime.clock.micros(), obj.caller(workspace)
        runtime.door.read_now(rooms.get, workspace)
        account = runtime.door.read_now(accounts.find, owner)
        until = now + days * _DAY_MICROS
        new = service.NewKey(workspace, account.id, name, scopes, until)

        def write() -> ApiKeyRow:
            allowed = recognition.allowed_in(account, workspace)
            return service.create(new, allowed, caller, now)

        row = runtime.door.write_now(write)
    data = {**service.as_dict(row), "key": new.key.text}
    obj.output.note("this is the only time that the key is shown")
    obj.output.result(data, lambda: obj.output.line(new.key.text))


@keys.command()
@json_option
@workspace_option
@click.argument("key_id", metavar="ID")
@pass_context
def revoke(obj: Context, workspace: str, key_id: str) -> None:
    """Revoke an API key; nobody can use it any more."""
    from codex32.services.access import keys as service

    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        work = partial(service.revoke, key_id, obj.caller(workspace), now, workspace=workspace)
        runtime.door.write_now(work)
    obj.output.result({"id": key_id}, lambda: obj.output.line(f"{key_id} is revoked"))
