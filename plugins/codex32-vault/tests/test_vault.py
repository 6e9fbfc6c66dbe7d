import asyncio

import pytest

import codex32_vault
from codex32 import (
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)
from codex32_testing.conformance import SecretStoreSuite
from codex32_testing.loading import load_plugin
from codex32_testing.loopback import Reply
from codex32_testing.servers.base import Fault
from codex32_testing.servers.vault import VaultServer
from codex32_vault.place import Place
from codex32_vault.store import VaultStore


class Hours:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def hours():
    return Hours()


@pytest.fixture
async def vault(hours):
    async with VaultServer(hours) as server:
        server.values = {"SUITE_TOKEN": "s3cret ünïcode", "A": "1"}
        yield server


@pytest.fixture
def store(vault, hours):
    def store(**changed):
        config = {
            "address": vault.url(),
            "role_id": vault.role_id,
            "secret_id": vault.secret_id,
            "timeout_seconds": 5,
            **changed,
        }
        return VaultStore(Place.of({k: v for k, v in config.items() if v is not None}), hours)

    return store


class TestVault(SecretStoreSuite):
    @pytest.fixture
    def secret_store(self, store):
        return store()


async def test_one_question_answers_for_all_and_is_remembered_for_a_moment(vault, store, hours):
    asked = store()
    assert await asyncio.gather(*[asked.read("A") for _ in range(10)]) == ["1"] * 10
    assert vault.counts == {"login": 1, "renew": 0, "read": 1}
    vault.values["A"] = "2"
    assert await asked.read("A") == "1"
    hours.now += 5
    assert await asked.read("A") == "2"


async def test_the_first_version_of_the_engine_is_read(vault, store):
    vault.kv = 1
    asked = store(kv=1, cache_seconds=0)
    assert await asked.read("A") == "1"
    assert await asked.names() == ["SUITE_TOKEN", "A"]
    vault.values = None
    assert await asked.read("A") is None


async def test_the_names_come_with_the_values(vault, store):
    vault.values |= {"B": {"no": "text"}, "no name": "x"}
    asked = store()
    assert sorted(await asked.names()) == ["A", "SUITE_TOKEN"]
    assert await asked.read("A") == "1"
    assert vault.counts["read"] == 1
    vault.values = None
    assert await store().names() == []


async def test_a_token_is_renewed_in_time_and_replaced_when_it_cannot_be(vault, store, hours):
    asked = store(cache_seconds=0)
    await asked.read("A")
    for _ in range(12):
        hours.now += 100
        assert await asked.read("A") == "1"
    # Tokens live 900 s however often they are renewed.
    assert vault.counts["renew"] >= 3
    assert vault.counts["login"] == 2


@pytest.mark.parametrize("seconds", [10, 5000], ids=["revoked", "run out"])
async def test_a_token_that_is_good_no_more_is_replaced_without_anybody_noticing(
    vault, store, hours, seconds
):
    asked = store(cache_seconds=0)
    await asked.read("A")
    hours.now += seconds
    vault.revoke_all()
    assert await asked.read("A") == "1"
    assert vault.counts["login"] == 2


async def test_a_token_that_was_handed_out_is_used_and_renewed(vault, store, hours, tmp_path):
    file = tmp_path / "token"
    file.write_text(vault.hand_out() + "\n")
    asked = store(role_id=None, secret_id=None, token_file=str(file), cache_seconds=0)
    assert await asked.read("A") == "1"
    hours.now += 250
    assert await asked.read("A") == "1"
    assert vault.counts == {"login": 0, "renew": 1, "read": 2}
    vault.revoke_all()
    with pytest.raises(ProviderUnauthorized):
        await asked.read("A")
    # What an agent writes there next is taken at once.
    vault.hand_out()
    assert await asked.read("A") == "1"


async def test_the_namespace_is_asked_in(hours):
    async with VaultServer(hours, namespace="team/a") as server:
        server.values = {"A": "1"}
        config = {"address": server.url(), "token": server.hand_out()}
        assert await VaultStore(Place.of({**config, "namespace": "team/a"})).read("A") == "1"
        with pytest.raises(ProviderUnauthorized):
            await VaultStore(Place.of(config)).read("A")


async def test_a_secret_that_was_deleted_or_never_written_is_unknown(vault, store):
    vault.values = None
    assert await store().read("A") is None


async def test_a_value_that_is_no_text_is_told(vault, store):
    vault.values = {"A": {"b": "S3CRET"}}
    with pytest.raises(ProviderRejected, match="A in Vault is no text") as caught:
        await store().read("A")
    assert "S3CRET" not in str(caught.value)


async def test_a_wrong_role_is_told_and_not_shown(store):
    with pytest.raises(ProviderUnauthorized) as caught:
        await store(secret_id="id-WRONG").read("A")
    assert "WRONG" not in str(caught.value)


async def test_sealed_is_worth_another_try_and_over_when_it_is_over(vault, store):
    vault.sealed = True
    asked = store()
    with pytest.raises(ProviderUnavailable, match="sealed"):
        await asked.read("A")
    vault.sealed = False
    assert await asked.read("A") == "1"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.too_many("4"), ProviderRateLimited),
        (Fault(500), ProviderUnavailable),
        (Fault(503), ProviderUnavailable),
        (Fault(412), ProviderUnavailable),
        (Fault(404, b'{"errors":[]}'), ProviderRejected),
        (Fault.html(), ProviderUnavailable),
        (Fault.torn(), ProviderUnavailable),
        (Fault.mute(), ProviderUnavailable),
        (Fault(200, b"[" * 100_000), ProviderUnavailable),
    ],
    ids=range(9),
)
async def test_whatever_vault_answers_ends_in_a_fault_that_says_what_helps(
    vault, store, fault, kind
):
    asked = store(timeout_seconds=0.5)
    vault.misbehave(fault)
    with pytest.raises(kind) as caught:
        await asked.read("A")
    if kind is ProviderRateLimited:
        assert caught.value.retry_after_seconds == 4
    assert await asked.read("A") == "1"


async def test_a_standby_leads_to_the_active_server(vault, store, loopback_server):
    for path in ("/v1/auth/approle/login", "/v1/secret/data/codex32"):
        headers = {"Location": vault.url(path)}
        loopback_server.reply(path, Reply(status=307, headers=headers))
    assert await store(address=loopback_server.url("")).read("A") == "1"


async def test_servers_that_lead_to_each_other_are_left(store, loopback_server):
    path = "/v1/auth/approle/login"
    loopback_server.reply(path, Reply(status=307, headers={"Location": path}))
    with pytest.raises(ProviderUnavailable, match="is there a leader"):
        await store(address=loopback_server.url("")).read("A")
    assert len(loopback_server.requests) == 2


async def test_nobody_there_is_worth_another_try(store, unused_tcp_port):
    with pytest.raises(ProviderUnavailable, match="cannot be asked"):
        await store(address=f"http://127.0.0.1:{unused_tcp_port}").read("A")


def test_several_event_loops_may_ask_one_store(hours):
    async def ask(store, server):
        return await asyncio.gather(*[store.read("A") for _ in range(3)])

    async def whole():
        async with VaultServer(hours) as server:
            server.values = {"A": "1"}
            store = VaultStore(
                Place.of({"address": server.url(), "token": server.hand_out(), "cache_seconds": 0})
            )
            here = await ask(store, server)
            elsewhere = await asyncio.to_thread(lambda: asyncio.run(ask(store, server)))
            return here + elsewhere

    assert asyncio.run(whole()) == ["1"] * 6


def test_nothing_secret_is_shown(store, vault):
    shown = repr(store()) + repr(vars(store()))
    assert "S3CRET" not in shown


GOOD = {"address": "https://vault.example.com:8200", "token": "hvs.x"}


def test_the_plugin_offers_vault_where_the_settings_name_it():
    assert load_plugin(codex32_vault).records[0].offers.get("secret_stores", ()) == ()
    loaded = load_plugin(codex32_vault, GOOD)
    assert loaded.records[0].offers == {"secret_stores": ("vault",)}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"token": "x"}, "address: names no Vault"),
        ({**GOOD, "address": "vault"}, "address: is no address"),
        ({**GOOD, "pth": "x"}, "pth: 'pth' is no setting .did you mean 'path'"),
        ({**GOOD, "path": "../sys"}, "path: '../sys' is no path"),
        ({**GOOD, "role_id": "r"}, "token: write one of"),
        ({"address": "https://v", "role_id": "r"}, "role_id: role_id and secret_id"),
        ({**GOOD, "cache_seconds": -1}, "cache_seconds: -1 is no number"),
        ({**GOOD, "ca_file": "/no/such"}, "ca_file: there is no such file"),
        ({**GOOD, "kv": "v1"}, "kv: 'v1' is no version"),
    ],
    ids=range(9),
)
def test_settings_that_cannot_work_are_named_with_their_place(config, told):
    with pytest.raises(Exception, match=f"plugins.under_test.{told}"):
        load_plugin(codex32_vault, config)
