"""What the tests of the house's own plugins share: the client that bots are handed, for real."""

from collections.abc import AsyncIterator

import pytest

from codex32.outside.http import GuardedHttpClient


@pytest.fixture
async def real_http() -> AsyncIterator[GuardedHttpClient]:
    """The guarded client, which the operator lets speak to this machine."""
    client = GuardedHttpClient(private_hosts=["127.0.0.0/8"])
    yield client
    await client.close()
