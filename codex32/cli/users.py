"""``codex32 users``: who can sign in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.kernel.account_rows import AccountRow
    from codex32.kernel.caller import Caller
    from codex32.runtime import Runtime

_WHO = click.argument("who", metavar="USER")


@click.group(cls=Group)
def users() -> None:
    """Look after accounts. A user is named by username, address or id."""


@users.command("list")
@json_option
@pass_context
def list_(obj: Context) -> None:
    """List all accounts, oldest first."""
    from codex32.services.access import accounts

    with obj.runtime() as runtime:
        rows = runtime.door.read_now(accounts.listing, 10_000)
    found: list[Any] = [accounts.as_dict(row) for row in rows]
    obj.output.result(
        {"users": found},
        lambda: obj.output.table(
            ("username", "email", "name", "active", "administrator", "id"),
            [
                (u["username"], u["email"], u["full_name"], u["active"], u["admin"], u["id"])
                for u in found
            ],
            "there are none",
        ),
    )


@users.command()
@json_option
@click.argument("username", metavar="USERNAME")
@click.option("--email", required=True, metavar="ADDRESS")
@click.option("--name", "full_name", default="", metavar="TEXT", help="The full name.")
@click.option("--admin", is_flag=True, help="Administers the whole installation.")
@pass_context
def create(obj: Context, username: str, email: str, full_name: str, admin: bool) -> None:
    """Make an account, and a one-time code with which its owner sets the password.

    It belongs to no workspace yet: codex32 workspaces add.
    """
    from codex32.services.access import accounts, one_time

    if not accounts.USERNAME.fullmatch(username):
        raise click.UsageError("a username has small letters, digits and . _ -, 63 at most")
    if not accounts.EMAIL.fullmatch(email):
        raise click.UsageError(f"{email} is no address")
    new = accounts.NewAccount(email, username, full_name, admin=admin, email_verified=True)
    code = one_time.Code("hand")

    def write(caller: Caller, now: int) -> AccountRow:
        row = accounts.create(new, caller, now)
        one_time.issue(row.id, code, caller, now)
        return row

    with obj.runtime() as runtime:
        row = _write(obj, runtime, write)
    _tell_code(obj, accounts.as_dict(row), code.text)


@users.command()
@json_option
@_WHO
@pass_context
def reset(obj: Context, who: str) -> None:
    """Make a one-time code with which a user sets a new password."""
    from codex32.services.access import accounts, one_time

    code = one_time.Code("hand")

    def write(caller: Caller, now: int) -> AccountRow:
        row = accounts.find(who)
        one_time.issue(row.id, code, caller, now)
        return row

    with obj.runtime() as runtime:
        row = _write(obj, runtime, write)
    _tell_code(obj, accounts.as_dict(row), code.text)


@users.command()
@json_option
@_WHO
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@pass_context
def passwd(obj: Context, who: str, password_stdin: bool) -> None:
    """Set a user's password here and now; all their sign-ins end."""
    from codex32.services.access import accounts

    with obj.runtime() as runtime:
        row = runtime.door.read_now(accounts.find, who)
        if password_stdin:
            password = sys.stdin.readline().rstrip("\n")
        else:
            asked = f"New password of {row.username}"
            password = click.prompt(asked, hide_input=True, confirmation_prompt=True, err=True)
        hashed = runtime.access.passwords.hash_now(password, accounts.words(row))
        _write(obj, runtime, partial(accounts.set_password, row.id, hashed))
    told = f"the password of {row.username} is set, and their sign-ins have ended"
    obj.output.result(accounts.as_dict(row), lambda: obj.output.line(told))


@users.command()
@json_option
@_WHO
@click.option("--email", metavar="ADDRESS")
@click.option("--username", metavar="NAME")
@click.option("--name", "full_name", metavar="TEXT", help="The full name.")
@click.option("--admin/--no-admin", default=None, help="Administers the whole installation.")
@pass_context
def change(obj: Context, /, who: str, **given: Any) -> None:
    """Change an account."""
    from codex32.services.access import accounts

    if given["email"] is not None and not accounts.EMAIL.fullmatch(given["email"]):
        raise click.UsageError(f"{given['email']} is no address")
    if given["username"] is not None and not accounts.USERNAME.fullmatch(given["username"]):
        raise click.UsageError("a username has small letters, digits and . _ -, 63 at most")
    values = {name: value for name, value in given.items() if value is not None}
    _change(obj, who, values, "is changed")


@users.command()
@json_option
@_WHO
@pass_context
def disable(obj: Context, who: str) -> None:
    """Let a user in no more; whatever they hold is worthless at once."""
    _change(obj, who, {"active": False}, "is disabled")


@users.command()
@json_option
@_WHO
@pass_context
def enable(obj: Context, who: str) -> None:
    """Let a user in again; they have to sign in anew."""
    _change(obj, who, {"active": True}, "is enabled")


@users.command()
@json_option
@_WHO
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def delete(obj: Context, who: str, yes: bool) -> None:
    """Delete an account; the audit log keeps what it did."""
    from codex32.services.access import accounts

    with obj.runtime() as runtime:
        row = runtime.door.read_now(accounts.find, who)
        if not yes:
            click.confirm(f"Delete {row.username} ({row.email})?", abort=True, err=True)
        _write(obj, runtime, partial(accounts.delete, row.id))
    told = f"{row.username} is deleted"
    obj.output.result(accounts.as_dict(row), lambda: obj.output.line(told))


def _change(obj: Context, who: str, values: Mapping[str, Any], what: str) -> None:
    from codex32.services.access import accounts

    def write(caller: Caller, now: int) -> AccountRow:
        return accounts.change(accounts.find(who).id, values, caller, now)

    with obj.runtime() as runtime:
        row = _write(obj, runtime, write)
    told = f"{row.username} {what}"
    obj.output.result(accounts.as_dict(row), lambda: obj.output.line(told))


def _write(obj: Context, runtime: Runtime, work: Callable[[Caller, int], Any]) -> Any:
    caller, now = obj.caller(""), runtime.clock.micros()
    return runtime.door.write_now(partial(work, caller, now))


def _tell_code(obj: Context, account: Mapping[str, Any], code: str) -> None:
    def show() -> None:
        obj.output.line(f"{account['username']} sets the password, once, within a day with:")
        obj.output.line(f"    codex32 login --code {code}")

    obj.output.result({**account, "code": code}, show)
