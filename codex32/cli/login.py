"""``codex32 login``, ``logout`` and ``whoami``: who one is on a server."""

from __future__ import annotations

import sys
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context

_SERVER = click.option("--server", metavar="URL", help="https://HOST of the server.")


@click.command()
@json_option
@_SERVER
@click.option("--user", metavar="NAME", help="Username or address; asked for if not given.")
@click.option("--code", metavar="CODE", help="A one-time code: sets the password first.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@pass_context
def login(
    obj: Context, server: str | None, user: str | None, code: str | None, password_stdin: bool
) -> None:
    """Sign in to a server; later commands that speak to it do so as you.

    A refresh token is kept in a file that only you can read. Passwords are never kept.
    """
    from codex32.cli.credentials import find_server, keep
    from codex32.cli.remote import call

    url = find_server(obj, server)
    if url.startswith("http://") and not _is_here(url):
        obj.output.note(f"warning: {url} is not encrypted; anybody on the way can read along")
    if code is not None:
        password = _password(password_stdin, new=True)
        told = call(url, "POST", "/api/v1/auth/reset", body={"code": code, "password": password})
        user = told["username"]
        obj.output.note(f"the password of {user} is set")
    else:
        user = user or click.prompt("User", err=True)
        password = _password(password_stdin)
    form = {"grant_type": "password", "username": str(user), "password": password}
    tokens = call(url, "POST", "/api/v1/auth/token", form=form)
    path = keep(url, str(user), tokens["refresh_token"])
    obj.output.result(
        {"server": url, "user": user, "file": str(path)},
        lambda: obj.output.line(f"signed in at {url} as {user}"),
    )


@click.command()
@json_option
@_SERVER
@pass_context
def logout(obj: Context, server: str | None) -> None:
    """Sign out of a server, there and here."""
    from codex32.cli.credentials import find_server, forget
    from codex32.cli.remote import call

    url = find_server(obj, server)
    token = forget(url)
    if token is not None:
        call(url, "POST", "/api/v1/auth/revoke", form={"token": token})
    told = f"signed out of {url}" if token else f"nobody was signed in at {url}"
    obj.output.result({"server": url, "ended": token is not None}, lambda: obj.output.line(told))


@click.command()
@json_option
@_SERVER
@pass_context
def whoami(obj: Context, server: str | None) -> None:
    """Say who one is on a server, and what one may do there."""
    from codex32.cli.credentials import server_and_token
    from codex32.cli.remote import call

    url, token = server_and_token(obj, server)
    found = call(url, "GET", "/api/v1/auth/me", token=token)
    obj.output.result({"server": url, **found}, lambda: _show(obj, url, found))


def _show(obj: Context, url: str, found: dict[str, Any]) -> None:
    rooms = [
        f"{each['name']} ({each['role']})" if each["role"] else str(each["name"])
        for each in found["workspaces"]
    ]
    obj.output.facts(
        [
            ("server", url),
            ("name", found["name"]),
            ("kind", found["kind"]),
            ("administrator", found["admin"]),
            ("workspaces", ", ".join(rooms)),
        ]
    )


def _password(from_stdin: bool, *, new: bool = False) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    asked = "New password" if new else "Password"
    return str(click.prompt(asked, hide_input=True, confirmation_prompt=new, err=True))


def _is_here(url: str) -> bool:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
