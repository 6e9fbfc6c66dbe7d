"""What somebody may do ends with the next request after it was taken from them."""

import asyncio

import pytest
from peewee import AutoField, BigAutoField

from codex32.kernel.account_rows import AccountRow, ApiKeyRow
from codex32.kernel.caller import STRANGER
from codex32.kernel.ids import new_id
from codex32.kernel.models import (
    ROWS,
    BotRow,
    ExecutionRow,
    RateRow,
    StateRow,
    TriggerRow,
    VersionRow,
)
from codex32.kernel.outbound_rows import EndpointRow
from codex32.kernel.permissions import OWN, PERMISSIONS, ROLES, Level
from codex32.kernel.retrieval_rows import RETRIEVAL_ROWS, CollectionRow
from codex32.kernel.safe_rows import AuditRow, ConnectionRow, DataKeyRow, SecretRow
from codex32.kernel.spending_rows import BudgetRow, ModelAttemptRow
from codex32.kernel.vector_errors import CollectionNotFound
from codex32.services.access import accounts, sessions, workspaces
from codex32.services.access.faults import CredentialsInvalid
from codex32.services.access.recogniser import Recogniser

ME, BOTS, KEYS = "/api/v1/auth/me", "/api/v1/bots", "/api/v1/auth/keys"
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def key_of(api, token, *scopes, **headers):
    body = {"name": "a program", "scopes": list(scopes) or ["bots.read"]}
    answer = await api("POST", KEYS, token=token, json=body, headers=headers)
    assert answer.status == 201, answer.text
    return answer.json


@pytest.fixture
def anna(api, people):
    """Everything that lets anna in: her id, tokens and key."""

    async def come():
        account = await people.add("anna", "user")
        tokens = await people.sign_in("anna")
        key = await key_of(api, tokens["access_token"])
        for token in (tokens["access_token"], key["key"]):
            assert (await api("GET", BOTS, token=token)).status == 200
        return account, tokens, key["key"]

    return come


ENDS = {
    "deleted": ("DELETE", "/api/v1/users/{id}", None),
    "disabled": ("PATCH", "/api/v1/users/{id}", {"active": False}),
}


@pytest.mark.parametrize("end", ENDS)
async def test_deleted_user_tokens_die(api, people, anna, end):
    account, tokens, key = await anna()
    method, path, body = ENDS[end]
    arguments = {} if body is None else {"json": body}
    assert (await api(method, path.format(id=account), **arguments)).status in (200, 204)
    for token in (tokens["access_token"], key):
        answer = await api("GET", BOTS, token=token)
        assert answer.status == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert (await people.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert (await people.token("anna")).json["error"] == "invalid_grant"


@one_database
async def test_who_is_enabled_again_has_to_sign_in_anew(api, people, anna):
    account, tokens, _ = await anna()
    for active in (False, True):
        await api("PATCH", f"/api/v1/users/{account}", json={"active": active})
    assert (await api("GET", ME, token=tokens["access_token"])).status == 401
    assert (await people.refresh(tokens["refresh_token"])).status == 400
    assert (await people.token("anna")).status == 200


@one_database
async def test_who_is_removed_from_a_workspace_is_out_at_once(api, anna):
    account, tokens, key = await anna()
    assert (await api("DELETE", f"/api/v1/members/{account}")).status == 204
    assert (await api("GET", BOTS, token=tokens["access_token"])).status == 403
    named = await api(
        "GET", BOTS, token=tokens["access_token"], headers={"X-Workspace": "default"}
    )
    assert (named.status, named.json["code"]) == (404, "workspace-not-found")
    assert (await api("GET", BOTS, token=key)).status == 401
    assert (await api("GET", ME, token=tokens["access_token"])).status == 200


@one_database
async def test_another_role_counts_from_the_next_request_on_for_keys_too(api, people):
    account = await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    key = (await key_of(api, token, "bots.read", "bots.execute"))["key"]
    missing = "/api/v1/bots/nothing/execute"
    for who in (token, key):
        assert (await api("POST", missing, token=who)).status == 404
    await api("PUT", f"/api/v1/members/{account}", json={"role": "viewer"})
    for who in (token, key):
        assert (await api("POST", missing, token=who)).status == 403
        assert (await api("GET", BOTS, token=who)).status == 200


@one_database
async def test_another_password_ends_all_other_sign_ins(api, people):
    await people.add("anna", "user")
    here, there = await people.sign_in("anna"), await people.sign_in("anna")
    body = {"current_password": people.password, "password": "another fine phrase"}
    token = here["access_token"]
    assert (await api("POST", "/api/v1/auth/password", token=token, json=body)).status == 204
    assert (await api("GET", ME, token=token)).status == 200
    assert (await api("GET", ME, token=there["access_token"])).status == 401
    assert (await people.refresh(there["refresh_token"])).status == 400
    assert (await people.token("anna")).status == 400
    assert (await people.token("anna", "another fine phrase")).status == 200


@one_database
async def test_sign_ins_are_listed_and_ended_by_their_owner_alone(api, people):
    await people.add("anna", "user")
    await people.add("bert", "user")
    one, two = await people.sign_in("anna"), await people.sign_in("anna")
    token, other = one["access_token"], (await people.sign_in("bert"))["access_token"]
    listed = (await api("GET", "/api/v1/auth/sessions", token=token)).json["items"]
    assert [each["present"] for each in listed] == [False, True]
    assert listed[0]["address"] == "127.0.0.1"
    path = f"/api/v1/auth/sessions/{listed[0]['id']}"
    assert (await api("DELETE", path, token=other)).status == 404
    assert (await api("DELETE", path, token=token)).status == 204
    assert (await api("GET", ME, token=two["access_token"])).status == 401
    assert (await api("DELETE", "/api/v1/auth/sessions", token=token)).status == 204
    assert (await api("GET", ME, token=token)).status == 401
    assert (await api("GET", ME, token=other)).status == 200


async def test_what_another_process_changes_is_seen_within_a_moment(api, people, runtime):
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    other = Recogniser(
        runtime.door, runtime.access.signer, runtime.clock
    )  # nobody tells it of changes
    assert (await other.caller(token, None)).name == "anna"
    account = (await api("GET", ME, token=token)).json["account"]["id"]
    now = runtime.clock.micros()
    await runtime.access.recogniser.change(lambda: sessions.revoke_of(account, now))
    assert (await api("GET", ME, token=token)).status == 401
    async with asyncio.timeout(60):
        while await _believed(other, token):
            await asyncio.sleep(0.02)


async def _believed(recogniser, token):
    try:
        return await recogniser.caller(token, None)
    except CredentialsInvalid:
        return None


@one_database
async def test_what_was_believed_is_asked_for_again_after_a_change_in_between(people, runtime):
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    asked = (runtime.access.recogniser.caller(token, None) for _ in range(20))
    looks = asyncio.gather(*asked, return_exceptions=True)
    await asyncio.sleep(0)
    account = await runtime.door.read(accounts.find, "anna")
    await runtime.access.recogniser.change(
        lambda: accounts.change(account.id, {"active": False}, STRANGER, 1)
    )
    await looks
    with pytest.raises(CredentialsInvalid):
        await runtime.access.recogniser.caller(token, None)


# workspaces


async def test_who_is_taken_into_another_workspace_goes_on_where_they_were(api, people):
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    await people.join("anna", "viewer", "other")
    assert (await api("GET", BOTS, token=token)).status == 200
    assert (await api("GET", ME, token=token)).json["workspace"] == "default"
    for name, role in (("default", "user"), ("other", "viewer")):
        answer = await api("GET", ME, token=token, headers={"X-Workspace": name})
        assert (answer.json["workspace"], answer.json["role"]) == (name, role)
    for name in ("elsewhere", "Default", "a/b", "é"):
        answer = await api("GET", BOTS, token=token, headers={"X-Workspace": name})
        assert (name, answer.status) == (name, 404)


async def test_who_leaves_their_home_names_a_workspace_until_they_choose_another(api, people):
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    await people.join("anna", "viewer", "other")
    refused = await api("PATCH", ME, token=token, json={"home": "elsewhere"})
    assert (refused.status, refused.json["code"]) == (404, "workspace-not-found")
    assert (await api("DELETE", "/api/v1/auth/workspaces/default", token=token)).status == 204
    undecided = await api("GET", BOTS, token=token)
    assert (undecided.status, undecided.json["code"]) == (400, "workspace-missing")
    await people.join("anna", "viewer", "third")
    assert (await api("GET", BOTS, token=token)).status == 400
    chosen = await api("PATCH", ME, token=token, json={"home": "other"})
    assert (chosen.status, chosen.json["home"]) == (200, "other")
    assert (await api("GET", ME, token=token)).json["workspace"] == "other"
    left = await api("DELETE", "/api/v1/auth/workspaces/default", token=token)
    assert (left.status, left.json["code"]) == (404, "member-not-found")


@one_database
async def test_a_home_goes_with_its_workspace(api, people, runtime):
    await people.add("anna", None)
    await people.join("anna", "user", "other")
    token = (await people.sign_in("anna"))["access_token"]
    assert (await api("GET", ME, token=token)).json["workspace"] == "other"
    assert (await api("DELETE", "/api/v1/workspaces/other")).status == 204
    assert (await api("GET", ME, token=token)).json["account"]["home"] is None
    assert (await api("GET", BOTS, token=token)).status == 403


ENDS_OF_A_HOME = {
    "left": ("/api/v1/auth/workspaces/other", True),
    "deleted": ("/api/v1/workspaces/other", False),
}


@pytest.mark.parametrize("end", ENDS_OF_A_HOME)
async def test_no_workspace_becomes_the_home_of_who_lost_theirs(api, people, end):
    await people.add("anna")
    await people.join("anna", "user", "other")
    token = (await people.sign_in("anna"))["access_token"]
    path, by_herself = ENDS_OF_A_HOME[end]
    ended = await api("DELETE", path, **({"token": token} if by_herself else {}))
    assert ended.status == 204
    await people.join("anna", "user", "strangers")
    undecided = await api("GET", BOTS, token=token)
    assert (undecided.status, undecided.json["code"]) == (400, "workspace-missing")
    told = (await api("GET", ME, token=token)).json
    assert (told["workspace"], told["account"]["home"]) == ("", None)
    assert (await api("PATCH", ME, token=token, json={"home": "strangers"})).status == 200
    assert (await api("GET", BOTS, token=token)).status == 200


@pytest.mark.parametrize("home", ["default", "other"])
async def test_who_administers_no_more_works_where_they_did_or_nowhere(api, people, home):
    account = await people.add("root", admin=True)
    await people.add("anna")
    await people.join("anna", "user", "other")
    token = (await people.sign_in("root"))["access_token"]
    if home != "default":
        assert (await api("PATCH", ME, token=token, json={"home": home})).status == 200
    await people.add("second", admin=True)
    changed = await api("PATCH", f"/api/v1/users/{account}", json={"admin": False})
    assert changed.status == 200
    # They belong nowhere: what is their own is still theirs.
    assert (await api("GET", ME, token=token)).json["workspace"] == ""
    body = {"current_password": people.password, "password": "another fine phrase"}
    assert (await api("POST", "/api/v1/auth/password", token=token, json=body)).status == 204
    await people.join("root", "user", "strangers")
    assert (await api("GET", BOTS, token=token)).json["code"] == "workspace-missing"
    await people.join("root", "user", home)
    assert (await api("GET", ME, token=token)).json["workspace"] == home


@one_database
@pytest.mark.parametrize("end", ENDS_OF_A_HOME)
async def test_administrators_who_lost_their_home_have_none_until_they_choose(api, people, end):
    account = await people.add("root", admin=True)
    await people.join("root", "user", "other")
    token = (await people.sign_in("root"))["access_token"]
    assert (await api("PATCH", ME, token=token, json={"home": "other"})).status == 200
    path, by_herself = ENDS_OF_A_HOME[end]
    ended = await api("DELETE", path, **({"token": token} if by_herself else {}))
    assert ended.status == 204
    await people.join("root", "user", "strangers")
    undecided = await api("GET", BOTS, token=token)
    assert (undecided.status, undecided.json["code"]) == (400, "workspace-missing")
    told = (await api("GET", ME, token=token)).json
    assert (told["workspace"], told["account"]["home"]) == ("", None)
    # The installation is still theirs, and so is any workspace that they name.
    assert (await api("GET", "/api/v1/users", token=token)).status == 200
    named = await api("GET", BOTS, token=token, headers={"X-Workspace": "default"})
    assert named.status == 200
    # Nor do they get one by being administrators no more.
    await people.add("second", admin=True)
    for admin in (False, True):
        change = {"admin": admin}
        assert (await api("PATCH", f"/api/v1/users/{account}", json=change)).status == 200
        assert (await api("GET", BOTS, token=token)).json["code"] == "workspace-missing"
    assert (await api("PATCH", ME, token=token, json={"home": "default"})).status == 200
    assert (await api("GET", BOTS, token=token)).status == 200


@one_database
async def test_administrators_are_at_home_where_they_choose_to_be(api, people):
    await people.add("root", admin=True)
    await people.join("root", "viewer", "other")
    token = (await people.sign_in("root"))["access_token"]
    assert (await api("GET", ME, token=token)).json["workspace"] == "default"
    assert (await api("PATCH", ME, token=token, json={"home": "other"})).status == 200
    assert (await api("GET", ME, token=token)).json["workspace"] == "other"


@one_database
async def test_admins_of_a_workspace_find_nobody_by_their_address(api, people):
    await people.add("anna", "admin")
    await people.add("bert", None)
    token = (await people.sign_in("anna"))["access_token"]
    there, not_there = "bert@example.com", "nobody@example.com"
    assert (await api("GET", "/api/v1/users")).json["items"][-1]["email"] == there
    for address in (there, not_there):
        wish = {"user": address, "role": "user"}
        asked = await api("POST", "/api/v1/members", token=token, json=wish)
        assert (asked.status, asked.json["code"]) == (404, "account-not-found")
    by_name = {"user": "bert", "role": "user"}
    assert (await api("POST", "/api/v1/members", token=token, json=by_name)).status == 201


@one_database
async def test_the_operator_and_administrators_work_anywhere_that_is_there(api, people):
    await people.add("root", admin=True)
    await people.add("anna", None)
    await people.join("anna", "user", "other")
    token = (await people.sign_in("root"))["access_token"]
    for who in (None, token):
        arguments = {} if who is None else {"token": who}
        for name, status in (("other", 200), ("default", 200), ("nowhere", 404)):
            answer = await api("GET", BOTS, headers={"X-Workspace": name}, **arguments)
            assert (name, answer.status) == (name, status)
        listed = (await api("GET", "/api/v1/workspaces", **arguments)).json["items"]
        assert [each["name"] for each in listed] == ["default", "other"]


@one_database
async def test_people_see_their_own_workspaces_and_nobody_elses(api, people):
    await people.add("anna", "user")
    await people.add("bert", None)
    await people.join("bert", "admin", "other")
    token = (await people.sign_in("anna"))["access_token"]
    listed = (await api("GET", "/api/v1/workspaces", token=token)).json["items"]
    assert [(each["name"], each["role"]) for each in listed] == [("default", "user")]
    assert (await api("GET", "/api/v1/workspaces/other", token=token)).status == 404
    assert (await api("GET", "/api/v1/workspaces/default", token=token)).status == 200


@one_database
async def test_a_member_is_addressed_by_username_whatever_it_is_made_of(api):
    account = {"email": "ada@example.com", "username": "ada.l-1_x"}
    await api("POST", "/api/v1/users", json=account)
    put = await api("PUT", "/api/v1/members/ada.l-1_x", json={"role": "viewer"})
    assert (put.status, put.json["username"]) == (201, "ada.l-1_x")
    assert (await api("DELETE", "/api/v1/members/ada.l-1_x")).status == 204


async def test_members_are_those_of_the_workspace_of_the_request(api, people):
    await people.add("anna", "admin")
    bert = await people.add("bert", None)
    await people.join("bert", "viewer", "other")
    token = (await people.sign_in("anna"))["access_token"]
    names = [
        e["username"] for e in (await api("GET", "/api/v1/members", token=token)).json["items"]
    ]
    assert names == ["anna"]
    assert (await api("DELETE", f"/api/v1/members/{bert}", token=token)).status == 404
    assert (await people.runtime.door.read(workspaces.role_of, bert, "other")) == "viewer"
    body = {"user": "bert", "role": "user"}
    added = await api("POST", "/api/v1/members", token=token, json=body)
    assert (added.status, added.json["role"]) == (201, "user")
    unknown = {"user": "nobody", "role": "user"}
    assert (await api("POST", "/api/v1/members", token=token, json=unknown)).status == 404
    odd = {"user": "bert", "role": "operator"}
    assert (await api("POST", "/api/v1/members", token=token, json=odd)).status == 422


@one_database
async def test_a_workspace_is_made_renamed_for_people_and_deleted_once_it_is_empty(
    api, people, add_bot
):
    body = {"name": "lab", "title": "The lab"}
    assert (await api("POST", "/api/v1/workspaces", json=body)).status == 201
    assert (await api("POST", "/api/v1/workspaces", json=body)).status == 409
    for name in ("", "Lab", "1lab", "a b", "x" * 64, "../etc"):
        assert (await api("POST", "/api/v1/workspaces", json={"name": name})).status == 422
    told = await api("PATCH", "/api/v1/workspaces/lab", json={"title": "Another"})
    assert told.json["title"] == "Another"
    await people.add("anna", None)
    await people.join("anna", "admin", "lab")
    token = (await people.sign_in("anna"))["access_token"]
    key = (await key_of(api, token))["key"]
    await asyncio.to_thread(add_bot)
    assert (await api("DELETE", "/api/v1/workspaces/default")).json["code"] == "workspace-in-use"
    secret, lab = "/api/v1/secrets/TOKEN", {"X-Workspace": "lab"}
    await api("PUT", secret, json={"value": "of the lab"}, headers=lab)
    assert "secrets" in (await api("DELETE", "/api/v1/workspaces/lab")).json["detail"]
    await api("DELETE", secret, headers=lab)
    assert (await api("DELETE", "/api/v1/workspaces/lab")).status == 204
    assert (await api("GET", BOTS, token=token)).status == 403
    assert (await api("GET", BOTS, token=key)).status == 401


async def test_a_workspace_in_which_something_was_goes_with_its_history(api, runtime):
    assert (await api("POST", "/api/v1/workspaces", json={"name": "lab"})).status == 201
    lab = {"X-Workspace": "lab"}
    bot = {"name": "sum", "type": "set", "with": {"values": {}}, "triggers": [{"every": "1d"}]}
    assert (await api("POST", BOTS, json=bot, headers=lab)).status == 201
    await api("PUT", "/api/v1/bots/sum/state/entry", json={"key": "k", "value": 1}, headers=lab)
    started = (await api("POST", "/api/v1/bots/sum/execute", headers=lab)).json["id"]
    where = "/api/v1/workspaces/lab"
    for query in ("", "?purge=true"):  # what is live is deleted by nobody in passing
        refused = await api("DELETE", where + query)
        assert (refused.status, refused.json["code"]) == (409, "workspace-in-use")
        assert "bots" in refused.json["detail"]
        assert "not ended" in refused.json["detail"]
    await api("POST", f"/api/v1/executions/{started}/cancel", headers=lab)
    assert (await api("DELETE", "/api/v1/bots/sum", headers=lab)).status == 204
    refused = await api("DELETE", where)
    assert (refused.status, "--purge" in refused.json["detail"]) == (409, True)
    assert (await api("DELETE", f"{where}?purge=true")).status == 204
    kinds = (BotRow, VersionRow, TriggerRow, StateRow, ExecutionRow)
    left = await runtime.door.read(lambda: [kind.select().count() for kind in kinds])
    assert left == [0] * len(kinds)
    # One that is made anew under the name finds nothing of it.
    assert (await api("POST", "/api/v1/workspaces", json={"name": "lab"})).status == 201
    assert (await api("GET", f"{BOTS}?status=removed", headers=lab)).json["items"] == []
    assert (await api("GET", "/api/v1/spending", headers=lab)).json["items"] == []
    told = (await api("GET", "/api/v1/audit", headers=lab)).json["items"]
    assert [each["action"] for each in told] == ["workspace.created"]
    whole = await api("GET", "/api/v1/instance/audit?action=workspace.deleted")
    gone = {"executions": 1, "collections": 0, "bots": 1}
    assert whole.json["items"][0]["change"] == {"purged": gone}


async def test_a_workspace_with_collections_is_purged_with_them(api, runtime):
    assert (await api("POST", "/api/v1/workspaces", json={"name": "lab"})).status == 201
    note = {"source": "a", "text": "the lab sings"}
    where, lab = "/api/v1/collections/notes/documents", {"X-Workspace": "lab"}
    assert (await api("PUT", where, json=note, headers=lab)).status == 201
    index = (await runtime.door.read(CollectionRow.get)).index_name
    store = runtime.components.vector_store("memory")
    assert await store.count(index) == 1
    refused = await api("DELETE", "/api/v1/workspaces/lab")
    assert (refused.status, "collections" in refused.json["detail"]) == (409, True)
    assert (await api("DELETE", "/api/v1/workspaces/lab?purge=true")).status == 204
    left = await runtime.door.read(lambda: [kind.select().count() for kind in RETRIEVAL_ROWS])
    assert left == [0] * len(RETRIEVAL_ROWS)
    with pytest.raises(CollectionNotFound):
        await store.count(index)


async def test_no_row_of_a_purged_workspace_is_left(api, runtime):
    """A table that is new, and names workspaces, is tried by this, too."""
    assert (await api("POST", "/api/v1/workspaces", json={"name": "zanzibar"})).status == 201
    live = (SecretRow, ConnectionRow, EndpointRow)  # somebody has to delete them first
    naming = [each for each in ROWS if "workspace" in each._meta.fields and each not in live]

    def fill():
        for kind in naming:
            if kind is not AuditRow:
                kind.insert({**row_of(kind), "workspace": "zanzibar"}).execute()
        RateRow.insert({**row_of(RateRow), "key": "zanzibar:bot:x"}).execute()
        BudgetRow.insert({**row_of(BudgetRow), "key": "workspace:zanzibar 2026-11"}).execute()
        DataKeyRow.insert({**row_of(DataKeyRow), "scope": "webhooks:zanzibar"}).execute()
        CollectionRow.update(store="memory", index_name="zanzibar_1").execute()

    await runtime.door.write(fill)
    assert (await api("DELETE", "/api/v1/workspaces/zanzibar?purge=true")).status == 204

    def found():
        return {
            kind._meta.table_name
            for kind in ROWS
            if any("zanzibar" in str(row) for row in kind.select().dicts())
        }

    assert await runtime.door.read(found) == {"audit"}
    paid = await runtime.door.read(ModelAttemptRow.get)  # by the installation
    assert (paid.workspace, paid.cost_nano) == ("", 1)


def row_of(kind):
    """A row with something in every column."""
    filled = {"TEXT": new_id("exe"), "BLOB": b"x", "BOOL": True}
    return {
        name: filled.get(field.field_type, 1)
        for name, field in kind._meta.fields.items()
        if not isinstance(field, AutoField | BigAutoField)
    }


async def test_a_key_is_told_who_it_is_and_nothing_of_whose(api, people):
    await people.add("anna", "user")
    made = await key_of(api, (await people.sign_in("anna"))["access_token"])
    me = await api("GET", ME, token=made["key"])
    assert me.status == 200
    told = me.json
    assert (told["kind"], told["name"], told["account"]) == ("key", made["name"], None)
    assert [each["name"] for each in told["workspaces"]] == ["default"]
    assert set(made["scopes"]) < set(told["permissions"])
    assert "anna@example.com" not in me.text
    assert (await api("GET", "/api/v1/auth/sessions", token=made["key"])).status == 403


async def test_what_a_key_did_stands_under_its_owners_name(api, people):
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    body = {"name": "bob", "scopes": ["bots.read", "bots.write"]}  # another one's name
    key = (await api("POST", KEYS, token=token, json=body)).json
    text = "name: kept\nsteps: [{id: a, type: end}]"
    made = await api(
        "PUT",
        f"{BOTS}/kept",
        token=key["key"],
        data=text,
        headers={"Content-Type": "application/yaml"},
    )
    assert made.status == 201, made.text
    (version,) = (await api("GET", f"{BOTS}/kept/versions")).json["items"]
    assert version["author"] == "anna (key bob)"
    (bot,) = (await api("GET", f"{BOTS}?owner=anna")).json["items"]
    assert bot["name"] == "kept"
    (entry,) = (await api("GET", "/api/v1/audit?action=bot.created")).json["items"]
    assert entry["actor"] == {"kind": "key", "id": key["id"], "name": "anna (key bob)"}


@one_database
async def test_lists_come_in_pages(api, people):
    await people.add("anna", "admin")
    token = (await people.sign_in("anna"))["access_token"]
    for name in ("bert", "carl"):
        await people.add(name, "viewer")
        await people.join("anna", "admin", name)
        await people.sign_in("anna")
    for _ in range(3):
        await key_of(api, token, **{"X-Workspace": "default"})
    for path, key, wanted in (
        ("/api/v1/workspaces", "name", ["bert", "carl", "default"]),
        ("/api/v1/members", "username", ["anna", "bert", "carl"]),
        ("/api/v1/auth/keys", "id", None),
        ("/api/v1/keys", "id", None),
        ("/api/v1/auth/sessions", "id", None),
    ):
        arguments = {"token": token, "headers": {"X-Workspace": "default"}}
        first = (await api("GET", f"{path}?limit=2", **arguments)).json
        url = f"{path}?limit=2&cursor={first['next']}"
        rest = (await api("GET", url, **arguments)).json
        found = [each[key] for each in first["items"] + rest["items"]]
        assert (len(first["items"]), len(set(found)), rest["next"]) == (2, 3, None)
        assert wanted in (None, found)


# what is audited


@one_database
async def test_sign_ins_failures_and_changes_are_in_the_audit_log(api, people):
    anna = await people.add("anna", "admin")
    token = (await people.sign_in("anna"))["access_token"]
    await people.token("anna", "wrong")
    await people.token("nobody", "wrong")
    key = await key_of(api, token)
    await api("DELETE", f"/api/v1/auth/keys/{key['id']}", token=token)
    await api("PATCH", ME, token=token, json={"full_name": "A"})
    await api("POST", f"/api/v1/users/{anna}/code")
    await api("DELETE", "/api/v1/auth/sessions", token=token)
    await api("DELETE", f"/api/v1/members/{anna}")
    rows = (await api("GET", "/api/v1/instance/audit?limit=100")).json["items"]
    told = [(each["action"], each["outcome"]) for each in reversed(rows)]
    for entry in (
        ("user.created", "done"),
        ("member.changed", "done"),
        ("session.created", "done"),
        ("session.refused", "refused"),
        ("key.created", "done"),
        ("key.revoked", "done"),
        ("user.changed", "done"),
        ("user.code-issued", "done"),
        ("user.signed-out", "done"),
        ("member.removed", "done"),
    ):
        assert entry in told
    assert told.count(("session.refused", "refused")) == 2


# keys


async def test_a_key_does_what_it_was_given_in_its_workspace_alone(api, people):
    await people.add("anna", "admin")
    await people.join("anna", "admin", "other")
    token = (await people.sign_in("anna"))["access_token"]
    made = await key_of(api, token, "bots.read", **{"X-Workspace": "other"})
    assert made["key"].startswith(made["prefix"] + "_")
    key = made["key"]
    assert (await api("GET", BOTS, token=key)).status == 200
    assert (await api("GET", BOTS, token=key, headers={"X-Workspace": "other"})).status == 200
    elsewhere = await api("GET", BOTS, token=key, headers={"X-Workspace": "default"})
    assert elsewhere.status == 404
    refused = await api("GET", "/api/v1/executions", token=key)
    assert refused.status == 403
    assert 'scope="executions.read"' in refused.headers["WWW-Authenticate"]
    listed = (await api("GET", KEYS, token=token)).json["items"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert key not in str(listed)
    async with asyncio.timeout(60):  # it is noted behind the answer
        while (
            await people.runtime.door.read(ApiKeyRow.get_by_id, made["id"])
        ).last_used_at is None:
            await asyncio.sleep(0.01)


@one_database
async def test_no_key_makes_keys_or_reads_accounts_whatever_its_owner_is(api, people):
    await people.add("root", admin=True)
    token = (await people.sign_in("root"))["access_token"]
    all_scopes = sorted(
        name
        for name, each in PERMISSIONS.items()
        if each.level is Level.WORKSPACE and name not in ("members.write", "keys.manage")
    )
    key = (await key_of(api, token, *all_scopes))["key"]
    body = {"name": "more", "scopes": ["bots.read"]}
    assert (await api("POST", KEYS, token=key, json=body)).status == 403
    for path in (KEYS, "/api/v1/users", "/api/v1/keys", "/api/v1/auth/sessions"):
        assert (path, (await api("GET", path, token=key)).status) == (path, 403)
    for scope in ("members.write", "keys.manage", "users.write", "account.write", "nonsense"):
        refused = await api("POST", KEYS, token=token, json={"name": "x", "scopes": [scope]})
        assert (scope, refused.status) == (scope, 403)
    long = await api("POST", KEYS, token=token, json={"name": "x", "scopes": ["bots.read" * 99]})
    assert (long.status, len(long.text) < 1000) == (422, True)


@one_database
async def test_nobody_gives_a_key_what_they_may_not_do_themselves(api, people):
    await people.add("anna", "viewer")
    token = (await people.sign_in("anna"))["access_token"]
    for scope in sorted(set(PERMISSIONS) - ROLES["viewer"] - OWN):
        refused = await api("POST", KEYS, token=token, json={"name": "x", "scopes": [scope]})
        assert (scope, refused.status) == (scope, 403)
    operator = await api("POST", KEYS, json={"name": "x", "scopes": ["bots.read"]})
    assert operator.status == 403  # who has no account owns nothing


@one_database
async def test_a_key_that_was_revoked_or_is_over_lets_nobody_in(api, people, runtime):
    await people.add("anna", "admin")
    await people.add("bert", "user")
    token = (await people.sign_in("anna"))["access_token"]
    other = (await people.sign_in("bert"))["access_token"]
    mine, theirs, old = [await key_of(api, who) for who in (token, other, token)]
    path = f"/api/v1/auth/keys/{mine['id']}"
    assert (await api("DELETE", path, token=other)).status == 404
    assert (await api("DELETE", path, token=token)).status == 204
    assert (await api("DELETE", f"/api/v1/keys/{theirs['id']}", token=token)).status == 204
    over = ApiKeyRow.update(expires_at=runtime.clock.micros()).where(ApiKeyRow.id == old["id"])
    await runtime.access.recogniser.change(over.execute)
    for made in (mine, theirs, old):
        assert (await api("GET", BOTS, token=made["key"])).status == 401
    days = {"name": "x", "scopes": ["bots.read"], "days": 367}
    assert (await api("POST", KEYS, token=token, json=days)).status == 422


@one_database
async def test_a_key_with_another_secret_or_a_mistake_is_nobodys(api, people):
    from codex32.services.access.tokens import Key

    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    key = Key.parse((await key_of(api, token))["key"])
    forged = Key(key.prefix, Key.new().secret)
    for text in (forged.text, key.text[:-1], key.text + "0", key.prefix, key.secret):
        assert (await api("GET", BOTS, token=text)).status == 401


@one_database
async def test_nobody_is_taken_for_another_by_being_called_like_their_id(api, people, runtime):
    victim, impostor = await people.add("anna", "user"), await people.add("eve", "viewer")
    eve = (await people.sign_in("eve"))["access_token"]
    renamed = await api("PATCH", ME, token=eve, json={"username": victim})
    assert (renamed.status, renamed.json["code"]) == (409, "account-taken")

    # Even one that was there before is not found by what is written like an id.
    def take():
        AccountRow.update(username=victim).where(AccountRow.id == impostor).execute()

    await runtime.door.write(take)
    changed = await api("PUT", f"/api/v1/members/{victim}", json={"role": "admin"})
    assert (changed.json["id"], changed.json["role"]) == (victim, "admin")
    assert (await api("GET", f"/api/v1/users/{victim}")).json["username"] == "anna"


@one_database
async def test_an_address_that_nobody_proved_names_no_member(api, people, runtime):
    mallory = accounts.NewAccount("bob@corp.example", "mallory")
    await runtime.door.write(lambda: accounts.create(mallory, STRANGER, 1))
    wish = {"user": "bob@corp.example", "role": "user"}
    answer = await api("POST", "/api/v1/members", json=wish)
    assert (answer.status, answer.json["code"]) == (404, "account-not-found")
    assert (await api("POST", "/api/v1/members", json={**wish, "user": "mallory"})).status == 201
