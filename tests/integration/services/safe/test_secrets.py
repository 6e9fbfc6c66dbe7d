"""Secrets in the database: sealed, bound to where they stand, and read by executions alone."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from codex32 import ProviderUnavailable, SecretStore
from codex32.kernel.caller import Caller
from codex32.kernel.database import Door
from codex32.kernel.errors import SecretNotFound
from codex32.kernel.safe_rows import AuditRow, DataKeyRow, SecretRow
from codex32.services.safe import audit, secret_lookup, secrets
from codex32.services.safe.audit_chain import verify
from codex32.services.safe.keyring import KeyMissing, KeySource
from codex32.services.safe.secret_lookup import SecretLookup
from codex32.services.safe.secrets import SecretInvalid
from codex32.services.safe.vault import SealBroken, Vault

ADA = Caller("user", "usr_1", "ada", workspace="default")
CANARY = "canary-5f1c"


@pytest.fixture
def vault(door: Door, tmp_path: Path) -> Vault:
    vault = Vault(KeySource(None, tmp_path / "keys"))
    audit.use(lambda: audit.VaultKeys(vault))
    return vault


def write(
    door: Door, vault: Vault, name: str, value: str, workspace: str = "default"
) -> secrets.SecretView:
    return door.write_now(partial(secrets.write, vault, name, value, ADA, 7, workspace=workspace))


def read(door: Door, vault: Vault, name: str, workspace: str = "default") -> str | None:
    return door.read_now(partial(secrets.read, vault, name, workspace=workspace))


def change(door: Door, **values: object) -> None:
    door.write_now(SecretRow.update(**values).where(SecretRow.name == "TOKEN").execute)


# writing and reading


def test_a_secret_is_read_as_it_was_written(door: Door, vault: Vault) -> None:
    value = f"{CANARY} ünïcode\nand lines"
    view = write(door, vault, "TOKEN", value)
    assert (view.version, view.updated_by) == (1, "ada")
    assert read(door, vault, "TOKEN") == value


def test_the_last_value_counts_and_the_version_counts_on(door: Door, vault: Vault) -> None:
    write(door, vault, "TOKEN", "one")
    assert write(door, vault, "TOKEN", "two").version == 2
    assert read(door, vault, "TOKEN") == "two"


def test_no_row_holds_a_value_or_a_key(door: Door, vault: Vault, tmp_path: Path) -> None:
    write(door, vault, "TOKEN", CANARY)
    tables = (SecretRow, DataKeyRow, AuditRow)
    rows = door.read_now(lambda: [list(each.select().dicts()) for each in tables])
    key = (tmp_path / "keys").read_text().strip().partition(":")[2]
    assert all(rows)
    assert CANARY not in str(rows)
    assert key not in str(rows)


def test_a_workspace_reads_its_own_alone(door: Door, vault: Vault) -> None:
    write(door, vault, "TOKEN", "mine")
    write(door, vault, "TOKEN", "theirs", workspace="other")
    assert read(door, vault, "TOKEN") == "mine"
    assert read(door, vault, "TOKEN", "other") == "theirs"
    assert read(door, vault, "TOKEN", "third") is None


def test_a_deleted_secret_is_gone(door: Door, vault: Vault) -> None:
    write(door, vault, "TOKEN", CANARY)
    door.write_now(partial(secrets.delete, "TOKEN", ADA, 8, workspace="default"))
    assert read(door, vault, "TOKEN") is None
    with pytest.raises(SecretNotFound):
        door.write_now(partial(secrets.delete, "TOKEN", ADA, 8, workspace="default"))


def test_secrets_are_listed_page_by_page_without_values(door: Door, vault: Vault) -> None:
    for name in ("C", "A", "B"):
        write(door, vault, name, CANARY)
    write(door, vault, "X", CANARY, workspace="other")
    first = door.read_now(partial(secrets.listing, workspace="default", limit=2))
    rest = door.read_now(partial(secrets.listing, workspace="default", after="B"))
    assert [each.name for each in (*first, *rest)] == ["A", "B", "C"]
    assert CANARY not in str([each.as_dict() for each in first])


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "v"), ("1A", "v"), ("A B", "v"), ("A/../B", "v"), ("A", ""), ("A", CANARY * 10_000)],
)
def test_what_is_no_secret_is_refused_without_its_value(
    door: Door, vault: Vault, name: str, value: str
) -> None:
    with pytest.raises(SecretInvalid) as refused:
        write(door, vault, name, value)
    assert CANARY not in refused.value.message


def test_who_wrote_and_deleted_is_in_the_audit_log(door: Door, vault: Vault) -> None:
    write(door, vault, "TOKEN", "one")
    write(door, vault, "TOKEN", "two")
    door.write_now(partial(secrets.delete, "TOKEN", ADA, 8, workspace="default"))
    entries = door.read_now(lambda: list(AuditRow.select().order_by(AuditRow.seq)))
    assert [(each.action, each.subject, each.actor_name) for each in entries] == [
        ("secret.created", "TOKEN", "ada"),
        ("secret.changed", "TOKEN", "ada"),
        ("secret.deleted", "TOKEN", "ada"),
    ]


# ciphertexts that were moved or changed


@pytest.mark.parametrize("moved", [{"name": "OTHER"}, {"workspace": "other"}, {"version": 2}])
def test_a_ciphertext_that_was_moved_opens_nothing(
    door: Door, vault: Vault, moved: dict[str, object]
) -> None:
    write(door, vault, "TOKEN", CANARY)
    write(door, vault, "KNOWN", "x", workspace="other")
    change(door, **moved)
    place = {"name": "TOKEN", "workspace": "default"} | moved
    with pytest.raises(SealBroken):
        read(door, vault, str(place["name"]), str(place["workspace"]))


def test_a_data_key_does_not_open_for_another_workspace(door: Door, vault: Vault) -> None:
    write(door, vault, "TOKEN", CANARY)
    move = DataKeyRow.update(scope="workspace:other").where(
        DataKeyRow.scope == "workspace:default"
    )
    door.write_now(move.execute)
    change(door, workspace="other")
    with pytest.raises(SealBroken, match="data key of workspace other"):
        read(door, vault, "TOKEN", "other")


def test_a_changed_ciphertext_is_found_by_the_check(door: Door, vault: Vault) -> None:
    write(door, vault, "TOKEN", CANARY)
    write(door, vault, "FINE", CANARY)
    change(door, sealed="AAAA")
    assert [each.path for each in door.read_now(secrets.check, vault)] == ["default/TOKEN"]


# keys


def test_the_key_file_is_made_once_and_is_its_owners_alone(
    door: Door, vault: Vault, tmp_path: Path
) -> None:
    write(door, vault, "TOKEN", CANARY)
    path = tmp_path / "keys"
    text = path.read_text()
    write(door, vault, "OTHER", CANARY, workspace="other")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == text


def test_a_key_file_that_is_gone_is_missed_and_not_made_anew(
    door: Door, vault: Vault, tmp_path: Path
) -> None:
    write(door, vault, "TOKEN", CANARY)
    (tmp_path / "keys").rename(tmp_path / "lost")
    for attempt in (
        lambda: door.read_now(vault.check),
        lambda: read(door, vault, "TOKEN"),
        lambda: write(door, vault, "OTHER", CANARY, workspace="other"),
    ):
        with pytest.raises(KeyMissing, match="backup"):
            attempt()
    assert not (tmp_path / "keys").exists()


def test_another_key_ring_is_refused_with_the_key_that_is_missing(
    door: Door, vault: Vault, tmp_path: Path
) -> None:
    write(door, vault, "TOKEN", CANARY)
    text = (tmp_path / "keys").read_text().replace("k1:", "other:")
    with pytest.raises(KeyMissing, match="sealed with the key k1"):
        door.read_now(Vault(KeySource(text, tmp_path / "none")).check)


def test_rotation_seals_the_data_keys_anew_and_old_keys_are_needed_no_more(
    door: Door, vault: Vault, tmp_path: Path
) -> None:
    write(door, vault, "TOKEN", CANARY)
    assert vault.source.add().current == "k2"
    assert door.write_now(partial(secrets.rotate, vault, ADA, 9)) == 2
    assert door.write_now(partial(secrets.rotate, vault, ADA, 9)) == 0
    newest = (tmp_path / "keys").read_text().splitlines()[0]
    alone = Vault(KeySource(newest, tmp_path / "none"))
    assert read(door, alone, "TOKEN") == CANARY
    audit.use(lambda: audit.VaultKeys(alone))
    verdict = door.read_now(verify)
    assert (verdict.broken, verdict.entries) == (None, 2)


def test_rekeying_seals_every_secret_with_a_new_data_key(door: Door, vault: Vault) -> None:
    for name in ("A", "B"):
        write(door, vault, name, name)
    before = door.read_now(lambda: {row.name: row.sealed for row in SecretRow.select()})
    assert door.write_now(partial(secrets.rekey, vault, ADA, 9, workspace="default")) == 2
    after = door.read_now(lambda: {row.name: row.sealed for row in SecretRow.select()})
    mine = DataKeyRow.scope == "workspace:default"
    keys = door.read_now(lambda: [row.number for row in DataKeyRow.select().where(mine)])
    assert keys == [2]
    assert not set(before.values()) & set(after.values())
    assert [read(door, vault, name) for name in ("A", "B")] == ["A", "B"]


# stores of the installation


class Store(SecretStore):
    scheme = "test"

    def __init__(self, **known: str) -> None:
        self.known = known

    async def read(self, name: str) -> str | None:
        return self.known.get(name)


@pytest.mark.parametrize(
    ("shared", "workspace", "found"),
    [
        (("default",), "default", "first"),
        (("default",), "other", None),
        (("default",), "defaul", None),
        (("*",), "other", "first"),
        ((), "default", None),
    ],
)
async def test_stores_of_the_installation_are_read_by_named_workspaces_alone(
    door: Door, vault: Vault, shared: tuple[str, ...], workspace: str, found: str | None
) -> None:
    stores = [Store(A="first"), Store(A="second", B="only here")]
    lookup = SecretLookup(door, vault, lambda: stores, shared)
    assert await lookup.secret(workspace, "A") == found
    assert await lookup.secret(workspace, "B") == (found and "only here")
    assert await lookup.secret(workspace, "C") is None
    work = partial(secrets.write, vault, "A", "its own", ADA, 7, workspace=workspace)
    await door.write(work)
    assert await lookup.secret(workspace, "A") == "its own"


# values that nobody else may be told


class Listing(Store):
    """A store that says what it knows, until it breaks."""

    scheme = "listing"
    broken = ""

    async def names(self) -> list[str]:
        if self.broken == "hangs":
            await asyncio.sleep(600)
        if self.broken == "names":
            raise RuntimeError(f"cannot list {CANARY}")
        return list(self.known)

    async def read(self, name: str) -> str | None:
        if self.broken == name:
            raise ProviderUnavailable(f"cannot read {CANARY}")
        return await super().read(name)


def lookup_of(door: Door, vault: Vault, *stores: SecretStore) -> SecretLookup:
    return SecretLookup(door, vault, lambda: stores, ("default",), ["of-the-settings", "short"])


async def test_what_a_store_lists_is_told_to_those_who_may_read_it(
    door: Door, vault: Vault
) -> None:
    await door.write(partial(secrets.write, vault, "OWN", "orders", ADA, 7, workspace="default"))
    lookup = lookup_of(door, vault, Listing(A=CANARY), Store(USED="pets", UNKNOWN=f"{CANARY}2"))
    found = await lookup.values("default", ["OWN", "USED", "NONE"])
    assert sorted(found) == ["canary-5f1c", "of-the-settings", "orders", "pets"]
    assert await lookup.values("other", ["OWN", "USED"]) == ["of-the-settings"]


@pytest.mark.parametrize(
    "value",
    [
        *("", "a1b2", "true", "orders", "Reader", "5432", "100000", "1.5", "10:30"),
        *("db.example.com", "db.example.com:5432", "10.0.0.1", "localhost"),
        *("https://example.com", "http://localhost:8080/", "ann.b+c@mail.example.com"),
    ],
)
async def test_what_everybody_has_to_be_able_to_write_is_no_secret_that_nobody_uses(
    door: Door, vault: Vault, value: str
) -> None:
    secret = {"B": "swordfish", "C": "hunter2", "D": "84729164", "E": "https://x.example/t0k"}
    store = Listing(A=value, **secret)
    found = await lookup_of(door, vault, store).values("default", [])
    assert found == [*secret.values(), "of-the-settings"]
    assert value in await lookup_of(door, vault, store).values("default", ["A"])


@pytest.mark.parametrize("broken", ["names", "A", "hangs"])
async def test_a_store_that_breaks_counts_with_what_it_told_and_stops_nobody(
    door: Door, vault: Vault, monkeypatch: pytest.MonkeyPatch, caplog: Any, broken: str
) -> None:
    monkeypatch.setattr(secret_lookup, "PATIENCE_SECONDS", 0.05)
    store, sound = Listing(A=CANARY, B="battery-staple"), Listing(C="swordfish")
    sound.scheme = "sound"
    lookup = lookup_of(door, vault, store, sound)
    store.broken = broken
    assert "swordfish" in await lookup.values("default", ["A"])
    store.broken = ""
    assert {CANARY, "battery-staple", "swordfish"} <= {*await lookup.values("default", [])}
    store.broken = broken
    for _ in range(2):
        assert {CANARY, "battery-staple", "swordfish"} <= {*await lookup.values("default", [])}
    (told,) = caplog.messages
    assert "the secret store listing cannot be asked" in told
    assert CANARY not in caplog.text
