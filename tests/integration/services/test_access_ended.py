"""What is over is let go, and what holds is kept."""

import asyncio

from codex32.kernel.account_rows import (
    ACCOUNT_ROWS,
    ApiKeyRow,
    OidcFlowRow,
    OneTimeTokenRow,
    RefreshTokenRow,
    SessionRow,
    SignInCountRow,
)
from codex32.kernel.caller import STRANGER
from codex32.kernel.permissions import Role
from codex32.services.access import accounts, ended, one_time, sessions, throttle, workspaces
from codex32.services.safe import audit
from codex32.services.safe.keyring import KeySource
from codex32.services.safe.vault import Vault
from codex32.services.upkeep import integrity

DAY = 86_400_000_000


def audited(folder):
    vault = Vault(KeySource(None, folder / "keys"))
    audit.use(lambda: audit.VaultKeys(vault))


def account(door, name, now=0):
    new = accounts.NewAccount(f"{name}@example.com", name)
    return door.write_now(lambda: accounts.create(new, STRANGER, now))


def sign_in(door, row, now, end):
    opening = sessions.Opening("password", sessions.Client("a", "b"), end)
    door.write_now(lambda: sessions.open_session(row, opening, STRANGER, now))
    return opening


def test_sign_ins_codes_and_counts_go_once_they_are_over_for_a_while(door, tmp_path):
    audited(tmp_path)
    anna = account(door, "anna")
    old, ended_one, live = (sign_in(door, anna, 0, end) for end in (DAY, 100 * DAY, 100 * DAY))
    door.write_now(lambda: sessions.revoke(ended_one.id, 2 * DAY))
    code = one_time.Code("hand")
    door.write_now(lambda: one_time.issue(anna.id, code, STRANGER, 0))
    door.write_now(lambda: throttle.failed("anna", "192.0.2.1", 0))
    assert asyncio.run(ended.prune(door, DAY)) == 0
    assert OneTimeTokenRow.select().count() == 1
    assert asyncio.run(ended.prune(door, 31 * DAY + 1)) == 1
    assert asyncio.run(ended.prune(door, 33 * DAY)) == 1
    assert [row.id for row in SessionRow.select()] == [live.id]
    assert [row.session_id for row in RefreshTokenRow.select()] == [live.id]
    for kind in (OneTimeTokenRow, SignInCountRow, OidcFlowRow):
        assert kind.select().count() == 0
    assert old.id != live.id


def test_deleting_an_account_leaves_nothing_that_belongs_to_nobody(door, tmp_path):
    audited(tmp_path)
    anna, _ = account(door, "anna"), account(door, "bert")
    sign_in(door, anna, 0, DAY)
    door.write_now(lambda: workspaces.put_member("default", "anna", Role.USER, STRANGER, 0))
    door.write_now(lambda: accounts.delete(anna.id, STRANGER, 1))
    kept = {kind.__name__ for kind in ACCOUNT_ROWS if kind.select().count()}
    assert kept == {"AccountRow", "WorkspaceRow"}
    assert door.read_now(integrity.check, 2) == []
    assert ApiKeyRow.select().count() == 0
