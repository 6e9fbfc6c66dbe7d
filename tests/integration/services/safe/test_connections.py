"""Connections: destinations by name that hold references to secrets and no secret."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door
from codex32.kernel.errors import ConnectionNotFound
from codex32.kernel.safe_rows import AuditRow
from codex32.services.safe import connections
from codex32.services.safe.connections import ConnectionInvalid, Wish

ADA = Caller("user", "usr_1", "ada", workspace="default")
CRM = Wish("postgresql", "db.example.com", 5432, {"database": "crm"}, {"password": "CRM_PW"})


def write(door: Door, name: str, wish: Wish, workspace: str = "default") -> Any:
    work = partial(connections.write, name, wish, ADA, 7, workspace=workspace)
    return connections.as_dict(door.write_now(work))


def test_a_connection_is_found_in_its_workspace_alone(door: Door) -> None:
    assert write(door, "crm-read", CRM)["secrets"] == {"password": "CRM_PW"}
    found = door.read_now(partial(connections.find, "crm-read", workspace="default"))
    assert found is not None
    assert (found.host, found.port, found.options) == ("db.example.com", 5432, CRM.options)
    assert door.read_now(partial(connections.find, "crm-read", workspace="other")) is None


def test_the_last_one_counts_and_what_was_changed_is_audited(door: Door) -> None:
    write(door, "crm-read", CRM)
    write(door, "crm-read", Wish("postgresql", "192.0.2.7"))
    listed = door.read_now(partial(connections.listing, workspace="default"))
    assert [connections.as_dict(row)["host"] for row in listed] == ["192.0.2.7"]
    door.write_now(partial(connections.delete, "crm-read", ADA, 8, workspace="default"))
    with pytest.raises(ConnectionNotFound):
        door.write_now(partial(connections.delete, "crm-read", ADA, 8, workspace="default"))
    entries = door.read_now(lambda: [row.action for row in AuditRow.select()])
    assert sorted(entries) == ["connection.changed", "connection.created", "connection.deleted"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"type": "Postgres QL"}, "type"),
        ({"host": "https://example.com"}, "host"),
        ({"host": "user:pw@example.com"}, "host"),
        ({"host": "example.com/path"}, "host"),
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"options": {"password": "hush"}}, "options.password"),
        ({"options": {"api_key": "hush"}}, "options.api_key"),
        ({"options": {"proxy": "http://me:hush@proxy"}}, "options.proxy"),
        ({"options": {"a b": 1}}, "options.a b"),
        ({"options": {"long": "x" * 20_000}}, "options"),
        ({"secrets": {"password": "not a name"}}, "secrets.password"),
    ],
)
def test_what_is_no_connection_or_holds_a_secret_is_refused(
    door: Door, change: dict[str, Any], path: str
) -> None:
    wish = Wish(**({"type": "http", "host": "example.com"} | change))
    with pytest.raises(ConnectionInvalid) as refused:
        write(door, "crm", wish)
    assert [each.path for each in refused.value.problems] == [path]
    assert "hush" not in str(refused.value)
