"""What one caller takes leaves enough to the others."""

import asyncio
import contextlib

import aiohttp
import pytest
import pytest_asyncio

from codex32_config.settings import load_settings

DEADLINE = 60
EVENTS = "/api/v1/events/stream"


@pytest.fixture
def settings(tmp_path, database_url):
    overrides = {"database_url": database_url, "api.token": "a token of the test"}
    overrides |= {"api.streams": 80, "api.rates.normal": None, "api.rates.sign_in": None}
    return load_settings(folder=tmp_path, overrides=overrides, environ={})


@pytest_asyncio.fixture
async def listen(api):
    """Opens streams that stay open until the test is over."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(api.url, connector=connector) as session,
        contextlib.AsyncExitStack() as stack,
    ):

        async def listening(token):
            sent = session.get(EVENTS, headers={"Authorization": f"Bearer {token}"})
            return await stack.enter_async_context(sent)

        yield listening


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_opens_all_streams_they_may_leaves_some_to_others(api, people, listen):
    tokens = {}
    for name in ("anna", "bert"):
        await people.add(name, "user")
        tokens[name] = (await people.sign_in(name))["access_token"]
    wish = {"name": "k", "scopes": ["events.read"]}
    made = await api("POST", "/api/v1/auth/keys", token=tokens["anna"], json=wish)
    mine = [tokens["anna"], made.json["key"]] * 20
    answers = await asyncio.gather(*(listen(token) for token in mine))
    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (20, 20)
    assert (await listen(tokens["bert"])).status == 200
    for answer in answers:
        answer.close()
    async with asyncio.timeout(DEADLINE):  # until the server has heard that they are closed
        while (await listen(tokens["anna"])).status != 200:
            await asyncio.sleep(0.05)
