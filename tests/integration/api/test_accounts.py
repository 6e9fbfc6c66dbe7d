"""Accounts: one's own and all of them; passwords that are forgotten; and who may try how often."""

import asyncio
import re

import pytest

from codex32.kernel.account_rows import AccountRow, OneTimeTokenRow, SignInCountRow
from codex32.kernel.caller import STRANGER
from codex32.services.access.faults import CredentialsInvalid
from codex32.services.access.one_time import Code, first_way_in, issue
from codex32.services.access.sessions import Client
from codex32_config.settings import load_settings

ME, FORGOT, RESET = "/api/v1/auth/me", "/api/v1/auth/forgot", "/api/v1/auth/reset"
PHRASE = "a fresh fine phrase"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def post(api, path, **body):
    return await api("POST", path, token=None, json=body)


@pytest.mark.parametrize(
    "field",
    ["role", "is_admin", "admin", "active", "workspace_id", "workspace", "email_verified",
     "scopes", "id", "password_hash", "password", "token_version"],
)  # fmt: skip
async def test_me_patch_rejects_privileged_fields(api, people, runtime, field):
    anna = await people.add("anna", "viewer")
    token = (await people.sign_in("anna"))["access_token"]
    before = await runtime.door.read(lambda: AccountRow.get_by_id(anna).__data__)
    for value in (True, "admin", None, []):
        body = {"full_name": "Other", field: value}
        answer = await api("PATCH", ME, token=token, json=body)
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, field)
    assert await runtime.door.read(lambda: AccountRow.get_by_id(anna).__data__) == before


async def test_one_changes_ones_names_freely_and_ones_address_with_the_password(api, people):
    await people.add("anna", "viewer", email_verified=True)
    await people.add("bert", "viewer")
    token = (await people.sign_in("anna"))["access_token"]
    changed = await api("PATCH", ME, token=token, json={"full_name": "A", "username": "ann"})
    assert (changed.json["username"], changed.json["full_name"]) == ("ann", "A")
    body = {"email": "New@example.com"}
    assert (await api("PATCH", ME, token=token, json=body)).json["code"] == "password-wrong"
    told = await api("PATCH", ME, token=token, json={**body, "current_password": people.password})
    assert (told.json["email"], told.json["email_verified"]) == ("new@example.com", False)
    taken = await api("PATCH", ME, token=token, json={"username": "bert"})
    assert (taken.status, taken.json["code"]) == (409, "account-taken")


async def test_a_wrong_present_password_is_counted_like_any_other(api, people):
    await people.add("anna", "viewer")
    token = (await people.sign_in("anna"))["access_token"]
    body = {"current_password": "wrong", "password": PHRASE}
    statuses = [
        (await api("POST", "/api/v1/auth/password", token=token, json=body)).status
        for _ in range(6)
    ]
    assert statuses == [403] * 5 + [429]


# administrators


async def test_an_account_is_made_with_a_code_that_sets_its_password(api, people):
    body = {"email": "Anna@Example.com", "username": "anna", "full_name": "Anna"}
    made = await api("POST", "/api/v1/users", json=body)
    assert (made.status, made.json["account"]["email"]) == (201, "anna@example.com")
    assert (await people.token("anna", "")).status == 400
    code = made.json["way_in"]["code"]
    done = await post(api, RESET, code=code, password=PHRASE)
    assert (done.status, done.json) == (200, {"username": "anna"})
    assert (await people.token("anna", PHRASE)).status == 200
    assert (await api("POST", "/api/v1/users", json=body)).json["code"] == "account-taken"
    other = await api("POST", "/api/v1/users", json={**body, "username": "other"})
    assert other.status == 409


async def test_of_two_who_want_one_name_at_once_one_gets_it(api):
    bodies = [{"email": f"a{n}@example.com", "username": "anna"} for n in range(8)]
    made = await asyncio.gather(*(api("POST", "/api/v1/users", json=body) for body in bodies))
    assert sorted(answer.status for answer in made) == [201] + [409] * 7


async def test_accounts_are_listed_in_pages(api, people):
    for name in ("anna", "bert", "carl"):
        await people.add(name)
    first = (await api("GET", "/api/v1/users?limit=2")).json
    rest = (await api("GET", f"/api/v1/users?limit=2&cursor={first['next']}")).json
    names = [each["username"] for each in first["items"] + rest["items"]]
    assert (names, rest["next"]) == (["anna", "bert", "carl"], None)
    assert (await api("GET", "/api/v1/users/bert")).json["username"] == "bert"
    assert (await api("GET", "/api/v1/users/nobody")).status == 404


async def test_the_last_administrator_stays(api, people):
    root = await people.add("root", admin=True)
    for body in ({"active": False}, {"admin": False}):
        refused = await api("PATCH", f"/api/v1/users/{root}", json=body)
        assert (refused.status, refused.json["code"]) == (409, "last-administrator")
    assert (await api("DELETE", f"/api/v1/users/{root}")).status == 409
    await people.add("other", admin=True)
    assert (await api("DELETE", f"/api/v1/users/{root}")).status == 204


async def test_no_member_of_whatever_role_touches_accounts(api, people):
    anna = await people.add("anna", "admin")
    token = (await people.sign_in("anna"))["access_token"]
    for method, path in (
        ("GET", "/api/v1/users"),
        ("GET", f"/api/v1/users/{anna}"),
        ("PATCH", f"/api/v1/users/{anna}"),
        ("DELETE", f"/api/v1/users/{anna}"),
        ("POST", f"/api/v1/users/{anna}/code"),
        ("POST", "/api/v1/workspaces"),
        ("DELETE", "/api/v1/workspaces/default"),
    ):
        assert (path, (await api(method, path, token=token)).status) == (path, 403)


# codes


async def code_for(runtime, account, purpose="hand"):
    code, now = Code(purpose), runtime.clock.micros()
    await runtime.door.write(lambda: issue(account, code, STRANGER, now))
    return code.text


@pytest.mark.parametrize(
    "code", [None, "", "null", "None", 0, True, [], {}, "cx32_once_", "x" * 5000]
)
async def test_what_is_no_code_resets_nothing(api, people, runtime, code):
    await people.add("anna", "viewer", password_hash=None)
    before = await runtime.door.read(lambda: AccountRow.get().__data__)
    assert (await post(api, RESET, code=code, password=PHRASE)).status in (400, 422)
    assert (await post(api, RESET, password=PHRASE)).status == 422
    assert await runtime.door.read(lambda: AccountRow.get().__data__) == before


async def test_a_code_is_good_once_for_its_account_until_it_is_over(api, people, runtime):
    anna, bert = await people.add("anna"), await people.add("bert")
    code = await code_for(runtime, anna)
    weak = await post(api, RESET, code=code, password="password1")
    assert (weak.status, weak.json["code"]) == (422, "password-refused")
    assert (await post(api, RESET, code=code, password=PHRASE)).status == 200
    used = await post(api, RESET, code=code, password="yet another phrase")
    assert (used.status, used.json["code"]) == (400, "code-invalid")
    assert (await people.token("anna", PHRASE)).status == 200
    assert (await people.token("bert", PHRASE)).status == 400
    over = await code_for(runtime, bert)
    end = OneTimeTokenRow.update(expires_at=runtime.clock.micros())
    await runtime.door.write(end.execute)
    assert (await post(api, RESET, code=over, password=PHRASE)).json["code"] == "code-invalid"


async def test_a_new_code_replaces_the_one_before_and_a_password_ends_it(api, people, runtime):
    anna = await people.add("anna", "viewer")
    first, second = await code_for(runtime, anna), await code_for(runtime, anna)
    assert (await post(api, RESET, code=first, password=PHRASE)).status == 400
    token = (await people.sign_in("anna"))["access_token"]
    body = {"current_password": people.password, "password": PHRASE}
    assert (await api("POST", "/api/v1/auth/password", token=token, json=body)).status == 204
    assert (await post(api, RESET, code=second, password=PHRASE)).status == 400


async def test_of_many_uses_of_a_code_at_once_one_counts(api, people, runtime):
    code = await code_for(runtime, await people.add("anna"))
    phrases = [f"{number} fine phrases" for number in range(10, 18)]
    sent = (post(api, RESET, code=code, password=phrase) for phrase in phrases)
    statuses = [answer.status for answer in await asyncio.gather(*sent)]
    assert sorted(statuses) == [200] + [400] * 7
    right = phrases[statuses.index(200)]
    assert (await people.token("anna", right)).status == 200


@pytest.fixture
async def mailing(runtime, settings, client_of):
    overrides = {
        "database_url": settings.database_url,
        "api.token": "a token of the test",
        "auth.mail": "log",
    }
    runtime.settings = load_settings(folder=settings.folder, overrides=overrides, environ={})
    async with client_of(runtime) as api:
        yield api


async def test_the_mailed_code_sets_the_password_and_proves_the_address(
    mailing, people, runtime, caplog
):
    caplog.set_level("INFO", "codex32.notify")
    anna = await people.add("anna", "viewer")
    sent = await post(mailing, FORGOT, email="Anna@example.com")
    assert (sent.status, sent.json) == (202, {})
    async with asyncio.timeout(60):
        while not caplog.messages:
            await asyncio.sleep(0.01)
    (code,) = set(re.findall(r"cx32_once_[\w-]+", caplog.messages[0]))
    assert (await post(mailing, RESET, code=code, password=PHRASE)).status == 200
    row = await runtime.door.read(lambda: AccountRow.get_by_id(anna))
    assert row.email_verified


async def test_asking_for_a_code_never_tells_who_has_an_account(mailing, people, runtime, caplog):
    caplog.set_level("INFO")
    await people.add("anna", "viewer")
    gone = await people.add("gone", "viewer")
    await mailing("PATCH", f"/api/v1/users/{gone}", json={"active": False})
    answers = [
        await post(mailing, FORGOT, email=f"{name}@example.com") for name in ("anna", "gone", "x")
    ]
    assert {(answer.status, answer.text) for answer in answers} == {(202, "{}")}
    await runtime.access.sign_in.close()
    mailed = [each for each in caplog.messages if "cx32_once_" in each]
    assert len(mailed) == 1


async def test_without_a_notifier_nothing_is_mailed_and_nothing_told(api, people, runtime):
    await people.add("anna", "viewer")
    assert (await post(api, FORGOT, email="anna@example.com")).status == 202
    await runtime.access.sign_in.close()
    assert await runtime.door.read(lambda: OneTimeTokenRow.select().count()) == 0


# registering, and the first account


async def test_nobody_registers_unless_the_settings_say_so(api, runtime):
    body = {"email": "a@example.com", "username": "anna", "password": PHRASE}
    refused = await post(api, "/api/v1/auth/register", **body)
    assert (refused.status, refused.json["code"]) == (403, "grant-not-offered")
    assert await runtime.door.read(lambda: AccountRow.select().count()) == 0


async def test_who_registers_belongs_nowhere_and_is_nobody_yet(runtime, settings, client_of):
    overrides = {
        "database_url": settings.database_url,
        "api.token": "a token of the test",
        "auth.registration": True,
    }
    runtime.settings = load_settings(folder=settings.folder, overrides=overrides, environ={})
    async with client_of(runtime) as api:
        body = {"email": "a@example.com", "username": "anna", "password": PHRASE}
        for more in ({"admin": True}, {"role": "admin"}, {"workspace": "default"}):
            refused = await post(api, "/api/v1/auth/register", **body, **more)
            assert refused.status == 422
        weak = await post(api, "/api/v1/auth/register", **{**body, "password": "anna1234"})
        assert weak.json["code"] == "password-refused"
        made = await post(api, "/api/v1/auth/register", **body)
        assert made.status == 201
        assert (made.json["admin"], made.json["email_verified"]) == (False, False)
        form = {"grant_type": "password", "username": "anna", "password": PHRASE}
        signed = await api("POST", "/api/v1/auth/token", token=None, data=form)
        token = signed.json["access_token"]
        assert (await api("GET", "/api/v1/bots", token=token)).status == 403
        assert (await api("GET", ME, token=token)).json["workspaces"] == []
        again = await post(api, "/api/v1/auth/register", **body)
        assert again.json["code"] == "account-taken"


async def test_the_first_way_in_is_offered_once_and_has_no_password(api, runtime, people):
    codes = [Code("hand") for _ in range(3)]
    now = runtime.clock.micros()
    offered = [
        await runtime.door.write(lambda code=code: first_way_in(code, STRANGER, now))
        for code in codes
    ]
    assert offered == [True, False, False]
    for password in ("", "admin", "password", "codex32"):
        assert (await people.token("admin", password)).status == 400
    assert (await post(api, RESET, code=codes[1].text, password=PHRASE)).status == 400
    assert (await post(api, RESET, code=codes[0].text, password=PHRASE)).status == 200
    await runtime.door.write(lambda: SignInCountRow.delete().execute())
    token = (await people.token("admin", PHRASE)).json["access_token"]
    assert (await api("GET", "/api/v1/users", token=token)).status == 200


# trying often


async def test_the_sixth_wrong_try_waits_and_the_right_password_with_it(api, people):
    await people.add("anna", "viewer")
    answers = [await people.token("anna", "wrong") for _ in range(6)]
    assert [answer.status for answer in answers] == [400] * 5 + [429]
    assert answers[-1].json["error"] == "temporarily_unavailable"
    assert answers[-1].headers["Content-Type"] == "application/json"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert (await people.token("anna")).status == 429


async def test_of_guesses_made_at_the_same_moment_a_late_right_one_is_refused(api, people):
    await people.add("anna", "viewer")
    wrong = [people.token("anna", f"wrong {number}") for number in range(20)]
    *_, right = await asyncio.gather(*wrong, people.token("anna"))
    assert right.status == 429


async def test_name_and_address_count_together(people):
    await people.add("anna", "viewer")
    names = ["anna", "anna@example.com", "ANNA", "Anna@example.com", "anna", "anna@example.com"]
    statuses = [(await people.token(name, "wrong")).status for name in names]
    assert statuses == [400] * 5 + [429]


async def test_a_password_that_was_changed_while_it_was_looked_at_lets_nobody_in(people, runtime):
    anna = await people.add("anna", "viewer")
    seen = await runtime.door.read(lambda: AccountRow.get_by_id(anna))
    change = AccountRow.update(token_version=AccountRow.token_version + 1)
    await runtime.door.write(change.execute)
    client = Client("a program", "192.0.2.1")
    with pytest.raises(CredentialsInvalid):
        await runtime.access.sign_in._open(seen, None, client, STRANGER)


# what is kept


async def test_no_secret_stands_in_the_database_or_in_the_log(
    api, people, runtime, caplog, database_url
):
    caplog.set_level("DEBUG", "codex32")
    made = await api("POST", "/api/v1/users", json={"email": "c@x.example", "username": "canary"})
    code = made.json["way_in"]["code"]
    assert (await post(api, RESET, code=code, password="canary phrase 1")).status == 200
    await people.join("canary", "admin")
    await people.token("canary", "canary typed wrong")
    await people.token("canary phrase typed as a name", "canary typed wrong")
    tokens = (await people.token("canary", "canary phrase 1")).json
    token = tokens["access_token"]
    fresh = (await people.refresh(tokens["refresh_token"])).json
    body = {"name": "program", "scopes": ["bots.read"]}
    key = (await api("POST", "/api/v1/auth/keys", token=token, json=body)).json["key"]
    change = {"current_password": "canary phrase 1", "password": "canary phrase 2"}
    assert (await api("POST", "/api/v1/auth/password", token=token, json=change)).status == 204
    secrets = ["canary phrase", "canary typed", code, token, key, fresh["access_token"]]
    secrets += [tokens["refresh_token"], fresh["refresh_token"], key.rpartition("_")[2]]
    path = database_url.removeprefix("sqlite:///")
    kept = await asyncio.to_thread(_bytes_of, path)
    assert b"canary" in kept  # the username: it is the right file
    for secret in secrets:
        assert secret.encode() not in kept
        assert secret not in caplog.text


def _bytes_of(path):
    from pathlib import Path

    return b"".join(each.read_bytes() for each in Path(path).parent.glob("codex32.db*"))
