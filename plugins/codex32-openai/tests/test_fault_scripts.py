"""Any sequence of faults: each call ends with an answer or a typed fault, in time, and once."""

import asyncio
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex32 import CompletionRequest, Finished, ModelFault, ModelMessage
from codex32_openai.provider import OpenAIProvider
from codex32_openai.settings import Endpoint
from codex32_testing.model_server import FAULTS, ModelServer

REQUEST = CompletionRequest("m", [ModelMessage("user", "Say hello there.")])
LIMIT_SECONDS = 0.5
#: A busy machine notices late.
GRACE_SECONDS = 5.0


async def _outcomes(server, script, stream):
    provider = OpenAIProvider(Endpoint("local", server.openai_url, "K", stream=stream))
    try:
        with_patience = provider.complete(REQUEST, timeout_seconds=120, key=server.key)
        assert [event async for event in with_patience]  # whatever is imported, is now
        server.reset()
        server.script(*(FAULTS[name] for name in script))
        told = []
        for _ in script:
            begun_at = time.monotonic()
            try:
                limited = provider.complete(REQUEST, timeout_seconds=LIMIT_SECONDS, key=server.key)
                assert isinstance([event async for event in limited][-1], Finished)
            except ModelFault as fault:
                told.append(str(fault))
            assert time.monotonic() - begun_at < LIMIT_SECONDS + GRACE_SECONDS
        assert server.key not in "".join(told)
        assert len(server.asked) <= len(script)
    finally:
        await provider.close()


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=5), st.booleans())
def test_every_call_of_every_script_ends_typed_and_in_time(script, stream):
    with ModelServer() as server:
        asyncio.run(_outcomes(server, script, stream))
