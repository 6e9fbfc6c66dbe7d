"""The SDK's client, made in the process and on the event loop that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex32 import ClientPerLoop, ModelFault
from codex32_anthropic.settings import Endpoint

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_NO_KEY = "none"
_CONNECT_SECONDS = 10.0


def client_of(endpoint: Endpoint) -> ClientPerLoop[AsyncAnthropic]:
    """Clients of the service; each call takes its own key by :func:`with_key`."""

    def make() -> AsyncAnthropic:
        import httpx2
        from anthropic import AsyncAnthropic

        client = AsyncAnthropic(
            api_key=_NO_KEY,
            # Given, since the environment could send calls and keys elsewhere.
            base_url=endpoint.base_url,
            max_retries=0,
            # A redirect would take prompts to where nobody meant them to go.
            http_client=httpx2.AsyncClient(follow_redirects=False),
        )
        # What the SDK imports only when it is asked for, here, where no event loop waits.
        _ = client.messages.with_raw_response
        return client

    async def close(client: AsyncAnthropic) -> None:
        await client.close()

    return ClientPerLoop(make, close)


def with_key(
    client: AsyncAnthropic, endpoint: Endpoint, key: str | None, timeout_seconds: float
) -> AsyncAnthropic:
    """The same client and connections, with the key of whoever asks.

    Raises:
      ModelFault: ``auth``: there is no key.
    """
    import httpx2

    if not key:
        raise ModelFault(
            "auth",
            f"{endpoint.name} wants a key, and no secret {endpoint.secret} is known here; set it "
            f"with: codex32 secrets set {endpoint.secret}",
        )
    return client.with_options(
        api_key=key,
        timeout=httpx2.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS)),
    )
