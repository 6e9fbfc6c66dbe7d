"""Connections: destinations that steps reach by name, with references to their secrets.

A connection binds secrets to one host, and no route or command answers their values. Functions
here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from codex32.engine.records import gates
from codex32.engine.running.environment import Destination
from codex32.kernel.caller import Caller
from codex32.kernel.database import Door
from codex32.kernel.errors import Codex32Error, ConnectionNotFound
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.problems import Problem
from codex32.kernel.safe_rows import ConnectionRow
from codex32.services.presentation import iso
from codex32.services.safe import audit
from codex32.services.safe.secrets import NAME as SECRET_NAME

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
#: Names under which somebody would put a secret's value.
_SECRET_LIKE = re.compile(r"key|token|secret|password|passwd|credential|dsn", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/\s@]*:[^/\s@]*@")
#: Characters of JSON that the options may have.
MAX_OPTIONS = 16_384


class ConnectionInvalid(Codex32Error):
    """A connection that cannot be kept; all faults are in ``problems``."""

    code = "connection-invalid"

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        told = "\n".join(str(each) for each in problems)
        super().__init__(f"the connection {name!r} cannot be kept:\n{told}")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Wish:
    """A connection as somebody wants it.

    Attributes:
      type: What kind of service is there: ``http``, ``postgresql``, ``smtp`` …
      host: A name or an address, without scheme, user and path.
      port: None for the usual one of the type.
      options: What else the type needs (``database``, ``user``, ``tls``); never a secret's value.
      secrets: What is secret (``password``) to the name of a secret of the workspace.
    """

    type: str
    host: str
    port: int | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


def write(name: str, wish: Wish, caller: Caller, now: int, *, workspace: str) -> ConnectionRow:
    """Make a connection, or put another in its place.

    Raises:
      ConnectionInvalid: All its faults.
    """
    if problems := tuple(_problems(name, wish)):
        raise ConnectionInvalid(name, problems)
    gates.lock(f"connection {workspace} {name}")
    config = {"host": wish.host, "port": wish.port, "options": dict(wish.options)}
    values = {
        "kind": wish.type,
        "config": dumps(config),
        "secrets": dumps(dict(wish.secrets)),
        "updated_at": now,
        "updated_by": caller.name,
    }
    there = ConnectionRow.update(**values).where(_this(workspace, name)).execute()
    if not there:
        ConnectionRow.insert(workspace=workspace, name=name, created_at=now, **values).execute()
    action = "connection.changed" if there else "connection.created"
    change = {"type": wish.type, **config, "secrets": dict(wish.secrets)}
    audit.record(caller, action, name, now, change=change, workspace=workspace)
    return get(name, workspace=workspace)


def delete(name: str, caller: Caller, now: int, *, workspace: str) -> None:
    """Remove a connection; steps that ask for it from now on fail.

    Raises:
      ConnectionNotFound: There is none of this name.
    """
    if not ConnectionRow.delete().where(_this(workspace, name)).execute():
        raise ConnectionNotFound(name)
    audit.record(caller, "connection.deleted", name, now, workspace=workspace)


def get(name: str, *, workspace: str) -> ConnectionRow:
    """One connection.

    Raises:
      ConnectionNotFound: There is none of this name.
    """
    row: ConnectionRow | None = ConnectionRow.get_or_none(_this(workspace, name))
    if row is None:
        raise ConnectionNotFound(name)
    return row


def find(name: str, *, workspace: str) -> Destination | None:
    """A connection as the engine wants it, or None where the workspace has none of this name."""
    row = ConnectionRow.get_or_none(_this(workspace, name))
    if row is None:
        return None
    return Destination(type=row.kind, **loads(row.config), secrets=loads(row.secrets))


async def look_up(door: Door, workspace: str, name: str) -> Destination | None:
    """What :func:`find` finds, for coroutines."""
    return await door.read(partial(find, name, workspace=workspace))


def listing(*, workspace: str, after: str | None = None, limit: int = 100) -> list[ConnectionRow]:
    """Connections by name.

    Args:
      workspace: Whose.
      after: Only those behind this name: the last one of the page before.
      limit: Most of them.
    """
    rows = ConnectionRow.select().where(ConnectionRow.workspace == workspace)
    if after is not None:
        rows = rows.where(ConnectionRow.name > after)
    return list(rows.order_by(ConnectionRow.name).limit(limit))


def as_dict(row: ConnectionRow) -> dict[str, JSON]:
    """A connection as plain data for JSON; of its secrets the names alone."""
    return {
        "name": row.name,
        "type": row.kind,
        **loads(row.config),
        "secrets": loads(row.secrets),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "updated_by": row.updated_by,
    }


def _this(workspace: str, name: str) -> object:
    return (ConnectionRow.workspace == workspace) & (ConnectionRow.name == name)


def _problems(name: str, wish: Wish) -> Iterator[Problem]:
    for path, text in (("name", name), ("type", wish.type)):
        if not NAME.fullmatch(text):
            message = "must be a small letter, and up to 62 small letters, digits, _ or -"
            yield Problem(message, path)
    if not _is_host(wish.host):
        yield Problem("must be a host's name or address alone, in small letters", "host")
    if wish.port is not None and not 1 <= wish.port <= 65535:
        yield Problem("must be between 1 and 65535", "port")
    for key, value in wish.options.items():
        yield from _option_problems(key, value)
    if len(dumps(dict(wish.options))) > MAX_OPTIONS:
        yield Problem(f"must have at most {MAX_OPTIONS} characters as JSON", "options")
    for key, secret in wish.secrets.items():
        if not NAME.fullmatch(key) or not SECRET_NAME.fullmatch(secret):
            yield Problem("must be the name of a secret, under a name for it", f"secrets.{key}")


def _option_problems(key: str, value: JSON) -> Iterator[Problem]:
    path = f"options.{key[:64]}"
    if not NAME.fullmatch(key):
        yield Problem("no option is called so", path)
    elif _SECRET_LIKE.search(key):
        yield Problem("set a secret, and name it under secrets", path)
    if _CREDENTIALS.search(dumps(value)):
        yield Problem("it holds a password; set a secret, and name it under secrets", path)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host) <= 253 and _HOST.fullmatch(host) is not None
    return True
