"""The audit log: a chain that many write, nobody changes, and that shows where it is broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import peewee as pw
import pytest

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.models import database_proxy
from codex32.kernel.safe_rows import AuditRow, DataKeyRow
from codex32.services.safe import audit
from codex32.services.safe.audit_chain import Anchor, verify
from codex32.services.safe.keyring import KeyMissing, KeySource
from codex32.services.safe.vault import Vault

ADA = Caller("user", "usr_1", "ada", workspace="default", address="192.0.2.1", request_id="req_1")

WRITER = """
import sys
from functools import partial
from pathlib import Path
from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, connect
from codex32.services.safe import audit
from codex32.services.safe.keyring import KeySource
from codex32.services.safe.vault import Vault

url, keys, name = sys.argv[1:]
audit.use(lambda: audit.VaultKeys(Vault(KeySource(None, Path(keys)))))
door = Door(connect(url))
caller = Caller("user", name, name, workspace="default")
work = [partial(audit.record, caller, "thing.changed", f"{name} {n}", n) for n in range(200)]
for each in work[:20]:
    door.write_now(each)
for each in work[20:]:
    door.post(lambda items: [item() for item in items], each)
door.close()
"""


def note(door: Door, *subjects: str) -> None:
    for subject in subjects:
        door.write_now(
            partial(audit.record, ADA, "bot.paused", subject, 7, change={"paused": True})
        )


def without_triggers(*names: str) -> None:
    """What only somebody can do who owns the database."""
    on = "" if is_sqlite() else " ON audit"
    for name in names:
        database_proxy.execute_sql(f"DROP TRIGGER {name}{on}")


def test_an_entry_says_who_did_what_to_which_from_where(door: Door) -> None:
    note(door, "report")
    row = door.read_now(AuditRow.get)
    assert (row.seq, row.at, row.actor_kind, row.actor_id, row.actor_name) == (
        1, 7, "user", "usr_1", "ada",
    )  # fmt: skip
    assert (row.address, row.request_id, row.workspace) == ("192.0.2.1", "req_1", "default")
    assert (row.action, row.subject, row.outcome) == ("bot.paused", "report", "done")
    assert row.change == '{"paused":true}'


def test_a_write_that_fails_leaves_no_entry_and_spoils_none_beside_it(door: Door) -> None:
    def failing() -> None:
        audit.record(ADA, "bot.deleted", "never", 1)
        raise ValueError("no")

    def batch(items: list[str]) -> list[None]:
        for each in items:
            failing() if each == "never" else audit.record(ADA, "bot.made", each, 1)
        return [None for _ in items]

    for each in ("a", "never", "b"):
        door.post(batch, each)
    with pytest.raises(ValueError, match="no"):
        door.write_now(failing)
    note(door, "last")
    subjects = [row.subject for row in door.read_now(lambda: list(AuditRow.select()))]
    assert (sorted(subjects), door.read_now(verify).broken) == (["a", "b", "last"], None)


def test_eight_processes_that_write_at_once_make_one_whole_chain(
    door: Door, database_url: str, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, database_url, str(keys), f"w{number}"])
        for number in range(8)
    ]
    assert [each.wait(timeout=120) for each in writers] == [0] * 8
    audit.use(lambda: audit.VaultKeys(Vault(KeySource(None, keys))))
    verdict = door.read_now(verify)
    assert (verdict.broken, verdict.entries, verdict.seq) == (None, 1600, 1600)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET subject = 'x' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2"],
)
def test_the_database_refuses_to_change_an_entry(door: Door, statement: str) -> None:
    note(door, "a", "b", "c")
    with pytest.raises(pw.DatabaseError, match="append-only"):
        door.write_now(partial(database_proxy.execute_sql, statement))
    assert door.read_now(verify).entries == 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_lets_nobody_replace_an_entry(door: Door) -> None:
    note(door, "a", "b")
    replace = (
        "INSERT OR REPLACE INTO audit SELECT 1, at, actor_kind, actor_id, actor_name, address, "
    )
    replace += "request_id, workspace, action, 'x', outcome, change, key_id, hash FROM audit"
    with pytest.raises(pw.DatabaseError, match="append-only"):
        door.write_now(partial(database_proxy.execute_sql, f"{replace} WHERE seq = 1"))
    assert door.read_now(verify).broken is None


def test_the_database_refuses_to_empty_the_log(door: Door) -> None:
    note(door, "a")
    statement = "DELETE FROM audit" if is_sqlite() else "TRUNCATE audit"
    with pytest.raises(pw.DatabaseError, match="append-only"):
        door.write_now(partial(database_proxy.execute_sql, statement))


BREAKS = {
    "an entry was changed": ("audit_no_update", "UPDATE audit SET subject = 'x' WHERE seq = 2", 2),
    "a time was changed": ("audit_no_update", "UPDATE audit SET at = at + 1 WHERE seq = 2", 2),
    "an entry was taken out": ("audit_no_delete", "DELETE FROM audit WHERE seq = 2", 2),
    "the first was taken out": ("audit_no_delete", "DELETE FROM audit WHERE seq = 1", 1),
    "the end was cut off": ("audit_no_delete", "DELETE FROM audit WHERE seq >= 3", 3),
}  # fmt: skip


@pytest.mark.parametrize("how", BREAKS)
def test_the_first_broken_entry_is_named(door: Door, how: str) -> None:
    trigger, statement, first = BREAKS[how]
    note(door, "a", "b", "c", "d")
    seq, last = door.read_now(audit.head)
    door.write_now(partial(without_triggers, trigger))
    door.write_now(partial(database_proxy.execute_sql, statement))
    verdict = door.read_now(verify, [Anchor(seq, last)])
    assert (verdict.broken, verdict.entries) == (first, first - 1)


def test_a_chain_that_was_made_anew_from_some_entry_on_does_not_fit_its_anchor(
    door: Door, open_door: Callable[..., Door]
) -> None:
    note(door, "a", "b")
    seq, last = door.read_now(audit.head)
    door.write_now(partial(without_triggers, "audit_no_delete"))
    door.write_now(partial(database_proxy.execute_sql, "DELETE FROM audit WHERE seq = 2"))
    note(door, "something else")
    assert door.read_now(verify).broken is None
    assert door.read_now(verify, [Anchor(seq, last)]).broken == 2


def test_entries_whose_key_was_changed_cannot_be_verified(door: Door) -> None:
    note(door, "a")
    door.write_now(DataKeyRow.update(wrapped="AAAA").execute)
    verdict = door.read_now(verify)
    assert (verdict.broken, verdict.reason) == (1, "the key it names is not there, or was changed")


def test_without_the_key_ring_nothing_is_verified(door: Door, tmp_path: Path) -> None:
    note(door, "a")
    audit.use(lambda: audit.VaultKeys(Vault(KeySource(None, tmp_path / "gone"))))
    with pytest.raises(KeyMissing):
        door.read_now(verify)
