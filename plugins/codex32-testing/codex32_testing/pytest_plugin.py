"""The fixtures that pytest finds by itself once this distribution is installed.

Nothing of the house is imported before a test asks for it: pytest loads this module before
coverage is measured, and every line imported then would count as never run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from codex32_testing.context import FakeStepContext
    from codex32_testing.http import FakeHttp
    from codex32_testing.loopback import LoopbackServer
    from codex32_testing.model_server import ModelServer


@pytest.fixture
def fake_http() -> FakeHttp:
    """An HTTP client that knows only the answers a test writes down."""
    from codex32_testing.http import FakeHttp

    return FakeHttp()


@pytest.fixture
def step_context(fake_http: FakeHttp) -> FakeStepContext:
    """A step's context in memory; its ``http`` is the fixture ``fake_http``."""
    from codex32_testing.context import FakeStepContext

    return FakeStepContext(http=fake_http)


@pytest_asyncio.fixture
async def loopback_server() -> AsyncIterator[LoopbackServer]:
    """A real HTTP server on this machine that answers, and misbehaves, as told."""
    from codex32_testing.loopback import LoopbackServer

    async with LoopbackServer() as server:
        yield server


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A service of language models and embeddings on this machine, on a thread of its own."""
    from codex32_testing.model_server import ModelServer

    with ModelServer() as server:
        yield server


@pytest.fixture
def step_main(request: pytest.FixtureRequest) -> Callable[[str, str], Callable[..., Any]]:
    """``step_main(bot, step)``: ``main`` of a Python step of a bot beside the test file.

    ``codex32 test`` gives the same to the same file, in the sandbox.
    """
    from codex32_testing.steps import step_main

    return partial(step_main, request.path.parent)
