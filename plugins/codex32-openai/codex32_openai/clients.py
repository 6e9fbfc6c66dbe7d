"""The SDK's client, made in the process and on the event loop that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex32 import ClientPerLoop, ModelFault
from codex32_openai.settings import Endpoint

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: Sent where a service wants no key; the SDK insists on one.
_NO_KEY = "none"
_CONNECT_SECONDS = 10.0


def client_of(endpoint: Endpoint) -> ClientPerLoop[AsyncOpenAI]:
    """Clients of an endpoint; each call takes its own key by :func:`with_key`."""

    def make() -> AsyncOpenAI:
        import httpx2
        from openai import AsyncOpenAI, Omit

        client = AsyncOpenAI(
            api_key=_NO_KEY,
            # All given, since the environment could send calls and keys elsewhere.
            base_url=endpoint.base_url,
            default_headers={
                "OpenAI-Organization": endpoint.organization or Omit(),  # type: ignore[dict-item]
                "OpenAI-Project": endpoint.project or Omit(),  # type: ignore[dict-item]
            },
            max_retries=0,
            # A redirect would take prompts to where nobody meant them to go.
            http_client=httpx2.AsyncClient(follow_redirects=False),
        )
        # What the SDK imports only when it is asked for, here, where no event loop waits.
        _ = client.chat.completions.with_raw_response, client.embeddings
        return client

    async def close(client: AsyncOpenAI) -> None:
        await client.close()

    return ClientPerLoop(make, close)


def with_key(
    client: AsyncOpenAI, endpoint: Endpoint, key: str | None, timeout_seconds: float
) -> AsyncOpenAI:
    """The same client and connections, with the key of whoever asks.

    Raises:
      ModelFault: ``auth``: the endpoint wants a key, and there is none.
    """
    import httpx2

    if endpoint.secret is not None and not key:
        raise ModelFault(
            "auth",
            f"{endpoint.name} wants a key, and no secret {endpoint.secret} is known here; set it "
            f"with: codex32 secrets set {endpoint.secret}",
        )
    return client.with_options(
        api_key=key if endpoint.secret is not None and key else _NO_KEY,
        timeout=httpx2.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS)),
    )
