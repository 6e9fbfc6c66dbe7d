"""The guarded HTTP client: names a bot allows, addresses that are public, limits on everything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import CapabilityRefused, ProviderRejected, ProviderUnavailable
from codex32.outside.guard import AddressRefused, GuardedSockets, PrivateHosts, refusal
from codex32.outside.hops import Hop, first_hop, redirected
from codex32.outside.hosts import HostPattern, parse_patterns

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_CHUNK_BYTES = 64 * 1024
_CONNECT_SECONDS = 30.0
#: Of each of the four kinds of session: a process has 1,024 descriptors where nobody gives more.
_MAX_CONNECTIONS = 128


class GuardedHttpClient(HttpClient):
    """The process's way to other machines; it belongs to one event loop.

    Itself it speaks to any public host; bots are given the view that :meth:`for_hosts` makes.
    Connections are kept and shared: each was checked when it was made, under the one policy of
    this client, and the name is checked for each request.

    Args:
      private_hosts: What operators permit beside public addresses: ``127.0.0.1:8765``,
        ``10.0.0.0/8``, ``intranet.example``.
      resolver: Finds the addresses of names; the system's by default.

    Raises:
      ValueError: An entry of ``private_hosts`` cannot be read.
    """

    def __init__(
        self, *, private_hosts: Iterable[str] = (), resolver: AbstractResolver | None = None
    ) -> None:
        self._private = PrivateHosts.parse(private_hosts)
        self._resolver = resolver
        self._sessions: dict[tuple[bool, bool], aiohttp.ClientSession] = {}

    def for_hosts(self, hosts: Sequence[str]) -> HttpClient:
        """A client that speaks only to the hosts that ``allow.hosts`` names."""
        return _AllowedHosts(self, parse_patterns(hosts))

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send to any public host."""
        return await self.exchange(request, None)

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def exchange(
        self, request: HttpRequest, allowed: Sequence[HostPattern] | None
    ) -> HttpResponse:
        """Send to hosts that fit ``allowed`` (None: any), following redirects."""
        hop = first_hop(request)
        progress = _Progress()
        try:
            async with asyncio.timeout(request.timeout_seconds):
                for _ in range(request.follow + 1):
                    _check_name(hop, allowed)
                    response = await self._send_once(hop, request, progress)
                    following = redirected(hop, response) if request.follow else None
                    if following is None:
                        return response
                    hop = following
        except TimeoutError:
            limit = f"within {request.timeout_seconds:g} s"
            if progress.sent:
                raise _unavailable(hop, f"did not answer {limit}", "http-timeout") from None
            raise _unavailable(hop, f"was not reached {limit}", "http-unreachable") from None
        raise ProviderRejected(f"{hop.place} redirects more than {request.follow} time(s)")

    async def _send_once(
        self, hop: Hop, request: HttpRequest, progress: _Progress
    ) -> HttpResponse:
        progress.sent = False
        try:
            async with self._session(hop).request(
                hop.method,
                hop.url,
                headers=hop.headers,
                data=hop.body,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                body = await _read(response, request, hop)
                return HttpResponse(
                    response.status,
                    _joined(response.headers),
                    body,
                    str(hop.url.with_fragment(None)),
                    response.charset or "utf-8",
                )
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressRefused):
                raise refusal(hop.host, hop.port, error.os_error.address) from None
            reason = f"cannot be reached: {error.os_error.strerror or error.os_error}"
            raise _unavailable(hop, reason, "http-unreachable") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = type(error).__name__
            if progress.sent:
                raise _unavailable(hop, f"broke off its answer: {kind}", "http-cut") from None
            if isinstance(error, ValueError):
                # So aiohttp says that a URL, a method or a header cannot be sent.
                raise ProviderRejected(f"{hop.place} cannot be sent: {kind}") from None
            raise _unavailable(hop, f"cannot be reached: {kind}", "http-unreachable") from None

    def _session(self, hop: Hop) -> aiohttp.ClientSession:
        trusted = self._private.names_host(hop.host, hop.port)
        # A kept connection may just be closing; whether an effect sent over it arrived could
        # then not be told. Effects have connections of their own.
        fresh = hop.method not in _READING
        if (trusted, fresh) not in self._sessions:
            self._sessions[trusted, fresh] = self._open(trusted=trusted, fresh=fresh)
        return self._sessions[trusted, fresh]

    def _open(self, *, trusted: bool, fresh: bool) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_MAX_CONNECTIONS,
                force_close=fresh,
                resolver=self._resolver,
                socket_factory=None if trusted else GuardedSockets(self._private),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            headers={"User-Agent": "codex32"},
            trust_env=False,
            trace_configs=[trace],
        )


@dataclass(frozen=True, slots=True)
class _AllowedHosts(HttpClient):
    client: GuardedHttpClient
    allowed: tuple[HostPattern, ...]

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await self.client.exchange(request, self.allowed)


@dataclass(slots=True)
class _Progress:
    """Whether any of the present hop may have left this machine."""

    sent: bool = False


async def _note_sent(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.sent = True


def _check_name(hop: Hop, allowed: Sequence[HostPattern] | None) -> None:
    if allowed is None or any(pattern.fits(hop.host, hop.port) for pattern in allowed):
        return
    name = hop.host if hop.port in (80, 443) else hop.authority
    raise CapabilityRefused(
        "hosts",
        name,
        f"{name} is not among the bot's hosts; permit it with allow: {{hosts: [{name}]}}",
    )


async def _read(response: aiohttp.ClientResponse, request: HttpRequest, hop: Hop) -> bytes:
    # Counted after unpacking, so that a small answer cannot unfold into a large one.
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > request.max_bytes:
            response.close()
            if request.cut:
                return bytes(body[: request.max_bytes])
            raise ProviderRejected(
                f"{hop.place} answered with more than {request.max_bytes} bytes (max_bytes)"
            )
        if request.enough is not None and request.enough(body):
            response.close()
            break
    return bytes(body)


def _joined(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _unavailable(hop: Hop, what: str, code: str) -> ProviderUnavailable:
    return ProviderUnavailable(f"{hop.place} {what}", code=code)
