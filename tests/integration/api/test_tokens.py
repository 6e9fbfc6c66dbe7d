"""Signing in as RFC 6749 and RFC 7009 say."""

import asyncio
import base64

import aiohttp
import pytest
from oauthlib.oauth2 import LegacyApplicationClient
from requests_oauthlib import OAuth2Session

from codex32.kernel.account_rows import AccountRow, RefreshTokenRow, SessionRow
from codex32.services.access.passwords import MAX_BYTES

TOKEN, REVOKE = "/api/v1/auth/token", "/api/v1/auth/revoke"
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def post(api, path=TOKEN, **arguments):
    return await api("POST", path, token=None, **arguments)


async def test_a_password_gives_tokens_that_open_the_api(api, people):
    await people.add("anna", "viewer")
    answer = await people.token("anna")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    told = answer.json
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 900, "codex32")
    me = await api("GET", "/api/v1/auth/me", token=told["access_token"])
    assert (me.json["name"], me.json["role"], me.json["workspace"]) == (
        "anna", "viewer", "default",
    )  # fmt: skip
    assert (await api("GET", "/api/v1/bots", token=told["access_token"])).status == 200
    started = await api("POST", "/api/v1/bots/x/execute", token=told["access_token"])
    assert started.status == 403
    assert 'error="insufficient_scope", scope="bots.execute"' in started.headers[
        "WWW-Authenticate"
    ]  # fmt: skip


@one_database
async def test_an_address_signs_in_as_well_as_a_name_in_any_case(people):
    await people.add("anna", "viewer")
    for name in ("anna", "ANNA", "anna@example.com", "Anna@Example.Com"):
        assert (await people.token(name)).status == 200


@one_database
async def test_a_stock_client_library_signs_in_refreshes_and_calls(api, people, monkeypatch):
    await people.add("anna", "viewer")
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    url = api.url + TOKEN

    def use():
        with OAuth2Session(client=LegacyApplicationClient(client_id="stock")) as session:
            first = session.fetch_token(url, username="anna", password=people.password)
            second = session.refresh_token(url)
            return first, second, session.get(f"{api.url}/api/v1/auth/me").json()

    first, second, me = await asyncio.to_thread(use)
    assert first["refresh_token"] != second["refresh_token"]
    assert me["account"]["username"] == "anna"


@one_database
@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "password", "username": "anna"}, "invalid_request"),
        ({"grant_type": "password", "username": "anna", "password": ""}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "cx32_refresh_x"}, "invalid_grant"),
        ({"grant_type": "password", "username": "anna", "password": "wrong"}, "invalid_grant"),
        (
            {"grant_type": "password", "username": "a", "password": "b", "scope": "all"},
            "invalid_scope",
        ),
        ([("grant_type", "password"), ("grant_type", "password")], "invalid_request"),
        ([("username", "a"), ("username", "b"), ("grant_type", "password")], "invalid_request"),
    ],
)
async def test_what_is_wrong_is_told_in_the_words_of_the_rfc(api, people, form, error):
    await people.add("anna", "viewer")
    answer = await post(api, data=form)
    assert (answer.status, answer.json["error"]) == (400, error)
    assert set(answer.json) == {"error", "error_description"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("application/json")


@one_database
async def test_json_is_an_invalid_request_and_unknown_parameters_are_passed_by(api, people):
    await people.add("anna", "viewer")
    sent = {"grant_type": "password", "username": "anna", "password": people.password}
    refused = await post(api, json=sent)
    assert (refused.status, refused.json["error"]) == (400, "invalid_request")
    assert (await post(api, data={**sent, "audience": "x", "client_id": "mine"})).status == 200
    assert (await post(api, data=b"\xff\xfe=%zz")).json["error"] == "invalid_request"


@one_database
async def test_a_secret_of_a_client_that_nobody_knows_is_refused(api, people):
    await people.add("anna", "viewer")
    sent = {"grant_type": "password", "username": "anna", "password": people.password}
    basic = {"Authorization": "Basic " + base64.b64encode(b"mine:secret").decode()}
    for arguments in (
        {"data": {**sent, "client_secret": "secret"}},
        {"data": sent, "headers": basic},
    ):
        answer = await post(api, **arguments)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    empty = {"Authorization": "Basic " + base64.b64encode(b"mine:").decode()}
    assert (await post(api, data=sent, headers=empty)).status == 200


@one_database
async def test_unknown_wrong_disabled_and_without_a_password_answer_alike(api, people):
    await people.add("anna", "viewer")
    await people.add("bert", "viewer", password_hash=None)
    gone = await people.add("gone", "viewer")
    await api("PATCH", f"/api/v1/users/{gone}", json={"active": False})
    answers = [
        await people.token("anna", "wrong password"),
        await people.token("nobody"),
        await people.token("bert"),
        await people.token("gone"),
        await people.token("no\x00body"),
        await people.token("anna", "x" * (MAX_BYTES + 1)),
    ]
    assert {(each.status, each.text) for each in answers} == {(400, answers[0].text)}


@pytest.fixture
def no_grant(settings):
    from codex32_config.settings import load_settings

    overrides = {
        "database_url": settings.database_url,
        "api.token": "a token of the test",
        "auth.password_grant": False,
    }
    return load_settings(folder=settings.folder, overrides=overrides, environ={})


@one_database
async def test_the_password_grant_can_be_switched_off(runtime, no_grant, client_of):
    runtime.settings = no_grant
    async with client_of(runtime) as api:
        form = {"grant_type": "password", "username": "a", "password": "b"}
        answer = await post(api, data=form)
    assert (answer.status, answer.json["error"]) == (400, "unsupported_grant_type")


# refreshing


async def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_sign_in(api, people, runtime):
    await people.add("anna", "viewer")
    first = await people.sign_in("anna")
    second = (await people.refresh(first["refresh_token"])).json
    assert (await api("GET", "/api/v1/auth/me", token=second["access_token"])).status == 200
    thief = {"User-Agent": "somebody else"}
    assert (await people.refresh(first["refresh_token"], **thief)).json["error"] == "invalid_grant"
    # The thief's use ends what the owner holds, too.
    assert (await people.refresh(second["refresh_token"])).json["error"] == "invalid_grant"
    for tokens in (first, second):
        answer = await api("GET", "/api/v1/auth/me", token=tokens["access_token"])
        assert answer.status == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_of_fifty_parallel_refreshes_one_wins_and_the_sign_in_goes_on(people, runtime):
    await people.add("anna", "viewer")
    first = await people.sign_in("anna")
    answers = await asyncio.gather(*(people.refresh(first["refresh_token"]) for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 49
    (winner,) = [answer.json for answer in answers if answer.status == 200]
    assert (await people.refresh(winner["refresh_token"])).status == 200
    assert await runtime.door.read(lambda: RefreshTokenRow.select().count()) == 3


@one_database
async def test_the_same_client_too_late_is_a_thief_as_well(people, runtime):
    await people.add("anna", "viewer")
    first = await people.sign_in("anna")
    second = (await people.refresh(first["refresh_token"])).json

    def used_long_ago():
        RefreshTokenRow.update(used_at=RefreshTokenRow.used_at - 6_000_000).where(
            RefreshTokenRow.used_at.is_null(False)
        ).execute()

    await runtime.door.write(used_long_ago)
    assert (await people.refresh(first["refresh_token"])).status == 400
    assert (await people.refresh(second["refresh_token"])).status == 400


@one_database
async def test_a_sign_in_ends_however_often_it_was_refreshed(people, runtime, api):
    await people.add("anna", "viewer")
    tokens = await people.sign_in("anna")
    end = SessionRow.update(expires_at=runtime.clock.micros())
    await runtime.access.recogniser.change(end.execute)
    assert (await people.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert (await api("GET", "/api/v1/auth/me", token=tokens["access_token"])).status == 401


@one_database
async def test_refreshing_in_json_answers_as_the_rest_of_the_api_does(api, people):
    await people.add("anna", "viewer")
    tokens = await people.sign_in("anna")
    body = {"refresh_token": tokens["refresh_token"]}
    assert (await post(api, "/api/v1/auth/refresh", json=body)).status == 200
    again = await post(api, "/api/v1/auth/refresh", json=body)
    assert (again.status, again.json["code"]) == (401, "credentials-invalid")


# revoking


@one_database
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_revoking_either_token_ends_the_sign_in(api, people, kind):
    await people.add("anna", "viewer")
    tokens, other = await people.sign_in("anna"), await people.sign_in("anna")
    form = {"token": tokens[kind], "token_type_hint": kind}
    assert (await post(api, REVOKE, data=form)).status == 200
    assert (await api("GET", "/api/v1/auth/me", token=tokens["access_token"])).status == 401
    assert (await people.refresh(tokens["refresh_token"])).status == 400
    assert (await api("GET", "/api/v1/auth/me", token=other["access_token"])).status == 200
    entry = (await api("GET", "/api/v1/instance/audit?action=session.ended")).json["items"][0]
    assert (entry["actor"]["kind"], entry["actor"]["name"]) == ("user", "anna")


@one_database
@pytest.mark.parametrize("token", ["nothing", "a.b.c", "cx32_refresh_x", "\x00"])
async def test_revoking_what_nobody_has_is_fine(api, token):
    assert (await post(api, REVOKE, data={"token": token})).status == 200


@one_database
async def test_revoking_nothing_is_not(api):
    answer = await post(api, REVOKE, data={"token": ""})
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


# many at once


@one_database
async def test_twenty_sign_ins_at_once_leave_the_api_answering(api, people):
    await people.add("anna", "viewer")
    async with aiohttp.ClientSession() as session:
        logins = asyncio.gather(*(people.token("anna") for _ in range(20)))
        answered = 0
        while not logins.done():
            async with session.get(f"{api.url}/healthz") as response:
                assert response.status == 200
            answered += 1
        assert {answer.status for answer in await logins} == {200}
    assert answered > 20  # each sign-in alone takes longer than a look


@one_database
async def test_a_hash_of_less_work_is_made_anew_when_its_owner_signs_in(people, runtime):
    from argon2 import PasswordHasher

    weak = await asyncio.to_thread(PasswordHasher(1, 8192, 1).hash, people.password)
    anna = await people.add("anna", "viewer", password_hash=weak)
    await people.sign_in("anna")
    row = await runtime.door.read(lambda: AccountRow.get_by_id(anna))
    assert "m=47104,t=1,p=1" in row.password_hash
    await people.sign_in("anna")
