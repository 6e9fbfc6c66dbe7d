"""Signing in at a real OpenID provider, which also lies."""

import asyncio
import time
from urllib.parse import urlsplit

import aiohttp
import pytest
from codex32_openid import CLIENT_ID, CLIENT_SECRET, OpenIdProvider

from codex32.kernel.account_rows import AccountRow
from codex32_config.settings import load_settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
START, CALLBACK = "/api/v1/auth/oidc/start", "/api/v1/auth/oidc/callback"
ANNA = {"sub": "42", "email": "Anna@example.com", "email_verified": True, "name": "Anna A."}


@pytest.fixture
async def provider():
    made = await asyncio.to_thread(OpenIdProvider)
    runner = await made.start()
    made.person = dict(ANNA)
    yield made
    await runner.cleanup()


@pytest.fixture
def oidc(settings, provider):
    """Has the runtime use the provider; further settings of ``auth.oidc`` may be told."""

    def configure(runtime, **more):
        overrides = {
            "database_url": settings.database_url,
            "api.token": "a token of the test",
            "auth.oidc.issuer": provider.url,
            "auth.oidc.client_id": CLIENT_ID,
            "auth.oidc.client_secret": CLIENT_SECRET,
            "auth.oidc.redirect_url": "http://127.0.0.1:1/api/v1/auth/oidc/callback",
            **{f"auth.oidc.{name}": value for name, value in more.items()},
        }
        runtime.settings = load_settings(folder=settings.folder, overrides=overrides, environ={})
        return runtime

    return configure


class Browser:
    """Goes to the provider and comes back, with the cookies it was given."""

    def __init__(self, url):
        self.url = url
        self.jar = aiohttp.CookieJar(unsafe=True)

    async def get(self, url):
        async with (
            aiohttp.ClientSession(cookie_jar=self.jar, connector_owner=True) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            return response.status, response.headers, await response.json(content_type=None)

    async def to_provider(self):
        status, headers, _ = await self.get(self.url + START)
        assert status == 302
        _, headers, _ = await self._raw(headers["Location"])
        return urlsplit(headers["Location"]).query

    async def _raw(self, url):
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, allow_redirects=False) as response,
        ):
            return response.status, response.headers, await response.text()

    async def come_back(self, query):
        return await self.get(f"{self.url}{CALLBACK}?{query}")

    async def sign_in(self):
        return await self.come_back(await self.to_provider())


@pytest.fixture
async def started(runtime, oidc, client_of):
    import contextlib

    async with contextlib.AsyncExitStack() as stack:

        async def start(**more):
            return await stack.enter_async_context(client_of(oidc(runtime, **more)))

        yield start


async def add(runtime, name, **more):
    from codex32.kernel.caller import STRANGER
    from codex32.services.access import accounts

    new = accounts.NewAccount(f"{name}@example.com", name, **more)
    await runtime.door.write(lambda: accounts.create(new, STRANGER, runtime.clock.micros()))
    return new.id


async def test_who_has_an_account_signs_in_and_stays_linked(runtime, started, provider):
    anna = await add(runtime, "anna", email_verified=True)
    api = await started()
    browser = Browser(api.url)
    status, headers, tokens = await browser.sign_in()
    assert status == 200, tokens
    assert "HttpOnly; SameSite=Lax" in headers["Set-Cookie"]
    me = await api("GET", "/api/v1/auth/me", token=tokens["access_token"])
    assert me.json["account"]["id"] == anna
    # The provider's subject is what counts from now on, whatever its address.
    provider.person |= {"email": "moved@elsewhere.example", "email_verified": False}
    status, _, tokens = await Browser(api.url).sign_in()
    assert status == 200
    again = await api("POST", "/api/v1/auth/refresh", token=None,
                      json={"refresh_token": tokens["refresh_token"]})  # fmt: skip
    assert again.status == 200


@pytest.mark.parametrize(
    ("person", "verified"),
    [
        ({"email_verified": False}, True),
        ({"email_verified": "true"}, True),
        ({"email_verified": None}, True),
        ({"email": None}, True),
        ({}, False),
    ],
)
async def test_an_account_is_linked_only_if_both_sides_vouch_for_its_address(
    runtime, started, provider, person, verified
):
    await add(runtime, "anna", email_verified=verified)
    provider.lies = person
    api = await started()
    status, _, told = await Browser(api.url).sign_in()
    assert (status, told["code"]) == (403, "oidc-refused")


async def test_who_has_no_account_gets_one_only_where_the_settings_say_so(started, provider):
    api = await started()
    status, _, told = await Browser(api.url).sign_in()
    assert (status, "no account" in told["detail"]) == (403, True)
    api = None


async def test_new_accounts_belong_to_no_workspace_and_have_names_of_their_own(
    runtime, started, provider
):
    await add(runtime, "other", password_hash=None)
    taken = AccountRow.update(username="anna").where(AccountRow.username == "other")
    await runtime.door.write(taken.execute)
    api = await started(create=True)
    status, _, tokens = await Browser(api.url).sign_in()
    assert status == 200
    me = (await api("GET", "/api/v1/auth/me", token=tokens["access_token"])).json
    assert (me["account"]["username"], me["workspaces"]) == ("anna-2", [])
    assert (await api("GET", "/api/v1/bots", token=tokens["access_token"])).status == 403


async def test_only_people_of_the_domains_that_are_named_sign_in(runtime, started, provider):
    await add(runtime, "anna", email_verified=True)
    api = await started(domains=["elsewhere.example"])
    assert (await Browser(api.url).sign_in())[0] == 403
    for address in ("eve@example.com.elsewhere.example", "eve@sub.elsewhere.example", "elsewhere"):
        provider.person["email"] = address
        assert (await Browser(api.url).sign_in())[0] == 403


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["another client", CLIENT_ID]},
        {"aud": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"exp": str(int(time.time()) + 3600)},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"sub": 42},
        {"sub": ""},
        {"nbf": int(time.time()) + 3600},
    ],
    ids=lambda claims: next(iter(claims)),
)
async def test_an_id_token_that_was_not_made_for_this_sign_in_lets_nobody_in(
    runtime, started, provider, lie
):
    await add(runtime, "anna", email_verified=True)
    provider.lies = lie
    api = await started()
    status, _, told = await Browser(api.url).sign_in()
    assert (status, told["code"]) == (403, "oidc-refused")


@pytest.mark.parametrize("how", ["none", "hmac", "foreign"])
async def test_an_id_token_that_the_provider_did_not_sign_lets_nobody_in(
    runtime, started, provider, how
):
    await add(runtime, "anna", email_verified=True)
    provider.how = how
    api = await started()
    status, _, told = await Browser(api.url).sign_in()
    assert (status, told["code"]) == (403, "oidc-refused")


async def test_a_provider_that_changes_its_key_goes_on(runtime, started, provider):
    await add(runtime, "anna", email_verified=True)
    api = await started()
    assert (await Browser(api.url).sign_in())[0] == 200
    runtime.access.foreign._provider._keys = (
        time.monotonic() - 120, runtime.access.foreign._provider._keys[1],
    )  # fmt: skip
    provider.how = "moved"
    assert (await Browser(api.url).sign_in())[0] == 200


async def test_a_sign_in_that_was_begun_elsewhere_is_refused(runtime, started, provider):
    await add(runtime, "anna", email_verified=True)
    api = await started()
    victim, thief = Browser(api.url), Browser(api.url)
    query = await thief.to_provider()
    await victim.to_provider()
    assert (await victim.come_back(query))[0] == 403
    assert (await thief.come_back(query))[0] == 403  # it was good for one return
    assert (await Browser(api.url).come_back("state=x&code=y"))[0] == 403
    denied = await victim.come_back("error=access_denied&state=x")
    assert (denied[0], denied[2]["code"]) == (403, "oidc-refused")
    other = await victim.come_back("code=x&state=y&iss=https%3A%2F%2Fevil.example")
    assert other[0] == 403


async def test_a_code_is_exchanged_once(runtime, started, provider):
    await add(runtime, "anna", email_verified=True)
    api = await started()
    browser = Browser(api.url)
    query = await browser.to_provider()
    assert (await browser.come_back(query))[0] == 200
    assert (await browser.come_back(query))[0] == 403


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_a_provider_that_publishes_nonsense_is_not_used(
    runtime, started, provider, metadata
):
    await add(runtime, "anna", email_verified=True)
    provider.metadata = metadata
    api = await started()
    browser = Browser(api.url)
    status, _, told = await browser.get(api.url + START)
    if status == 302:
        status, _, told = await browser.come_back(await browser.to_provider())
    assert (status, told["code"]) == (502, "oidc-failed")


async def test_who_was_disabled_here_is_not_let_in_by_the_provider(runtime, started, provider):
    anna = await add(runtime, "anna", email_verified=True)
    api = await started()
    assert (await Browser(api.url).sign_in())[0] == 200
    await api("PATCH", f"/api/v1/users/{anna}", json={"active": False})
    assert (await Browser(api.url).sign_in())[0] == 403


async def test_without_a_provider_there_is_no_such_sign_in(api):
    for path in (START, f"{CALLBACK}?state=x&code=y"):
        answer = await api("GET", path, token=None)
        assert (answer.status, answer.json["code"]) == (403, "grant-not-offered")
