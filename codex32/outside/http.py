"""The guarded HTTP client: names a bot allows, addresses that are public, limits on everything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from urllib.parse import urlencode

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy
from yarl import URL

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import CapabilityRefused, ProviderRejected, ProviderUnavailable
from codex32.kernel.json_values import JSON, dumps
from codex32.outside.guard import AddressRefused, GuardedSockets, PrivateHosts
from codex32.outside.hosts import HostPattern, normal_host, parse_patterns

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: All that goes on to another origin: any other header may be a credential.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "user-agent", "content-type"})
#: By these a request could mean another host than was checked, or hide a second request.
_OUR_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_CHUNK_BYTES = 64 * 1024
_CONNECT_SECONDS = 30.0
_MAX_CONNECTIONS = 256


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
        hop = _first_hop(request)
        progress = _Progress()
        try:
            async with asyncio.timeout(request.timeout_seconds):
                for _ in range(request.follow + 1):
                    _check_name(hop.url, allowed)
                    response = await self._send_once(hop, request.max_bytes, progress)
                    following = _redirected(hop, response) if request.follow else None
                    if following is None:
                        return response
                    hop = following
        except TimeoutError:
            limit = f"within {request.timeout_seconds:g} s"
            if progress.sent:
                raise _unavailable(hop, f"did not answer {limit}", "http-timeout") from None
            raise _unavailable(hop, f"was not reached {limit}", "http-unreachable") from None
        raise ProviderRejected(f"{_place(hop)} redirects more than {request.follow} time(s)")

    async def _send_once(self, hop: _Hop, max_bytes: int, progress: _Progress) -> HttpResponse:
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
                body = await _read(response, max_bytes, hop)
                return HttpResponse(
                    response.status,
                    _joined(response.headers),
                    body,
                    str(hop.url.with_fragment(None)),
                    response.charset or "utf-8",
                )
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressRefused):
                raise _private(hop, error.os_error.address) from None
            reason = f"cannot be reached: {error.os_error.strerror or error.os_error}"
            raise _unavailable(hop, reason, "http-unreachable") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = type(error).__name__
            if progress.sent:
                raise _unavailable(hop, f"broke off its answer: {kind}", "http-cut") from None
            if isinstance(error, ValueError):
                # So aiohttp says that a URL, a method or a header cannot be sent.
                raise ProviderRejected(f"{_place(hop)} cannot be sent: {kind}") from None
            raise _unavailable(hop, f"cannot be reached: {kind}", "http-unreachable") from None

    def _session(self, hop: _Hop) -> aiohttp.ClientSession:
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


@dataclass(frozen=True, slots=True)
class _Hop:
    """One request as it goes over the wire."""

    url: URL
    method: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def host(self) -> str:
        return normal_host(self.url.raw_host or "")

    @property
    def port(self) -> int:
        return self.url.port or 0


def _first_hop(request: HttpRequest) -> _Hop:
    url = _checked(request.url)
    try:
        url = url.extend_query(_pairs(request.query))
        body, kind = _body(request)
    except ValueError:
        raise ProviderRejected("the query or the body holds what cannot be sent") from None
    headers = _checked_headers(request.headers)
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    return _Hop(url, request.method.upper(), headers, body)


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in _OUR_HEADERS:
            raise ProviderRejected(f"the header {name} is set by the client; leave it out")
        if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise ProviderRejected(f"the header {name!r} holds characters that cannot be sent")
    return dict(headers)


def _checked(text: str) -> URL:
    try:
        url = URL(text)
        _ = url.port
        normal_host(url.raw_host or "")
    except ValueError:
        raise ProviderRejected(
            "the URL cannot be read; write for example https://host/path"
        ) from None
    if url.scheme not in ("http", "https"):
        raise ProviderRejected(f"a URL begins with https:// or http://, not {url.scheme!r}")
    if url.raw_user is not None or url.raw_password is not None:
        raise ProviderRejected("a URL may not hold a user or a password; use auth or a header")
    return url


def _pairs(query: Mapping[str, JSON]) -> list[tuple[str, str]]:
    pairs = []
    for name, value in query.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                pairs.append((name, one if isinstance(one, str) else dumps(one)))
    return pairs


def _body(request: HttpRequest) -> tuple[bytes | None, str]:
    if request.has_json or request.json is not None:
        return dumps(request.json).encode(), "application/json"
    if request.form is not None:
        return urlencode(request.form).encode(), "application/x-www-form-urlencoded"
    return request.body, ""


def _check_name(url: URL, allowed: Sequence[HostPattern] | None) -> None:
    host, port = normal_host(url.raw_host or ""), url.port or 0
    if allowed is None or any(pattern.fits(host, port) for pattern in allowed):
        return
    name = host if port in (80, 443) else _authority(host, port)
    raise CapabilityRefused(
        "hosts",
        name,
        f"{name} is not among the bot's hosts; permit it with allow: {{hosts: [{name}]}}",
    )


def _private(hop: _Hop, address: str) -> CapabilityRefused:
    return CapabilityRefused(
        "hosts",
        hop.host,
        f"{hop.host} leads to {address}, which is no public address; "
        f"an operator can permit it with private_hosts: ['{_authority(hop.host, hop.port)}']",
    )


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _redirected(hop: _Hop, response: HttpResponse) -> _Hop | None:
    location = response.headers.get("location")
    if response.status not in _REDIRECTS or not location:
        return None
    try:
        url = _checked(str(hop.url.join(URL(location))))
    except ValueError:
        raise ProviderRejected(f"{_place(hop)} redirects to what is no URL") from None
    following = replace(hop, url=url)
    if url.origin() != hop.url.origin():
        kept = {k: v for k, v in hop.headers.items() if k.lower() in _HARMLESS_HEADERS}
        following = replace(following, headers=kept)
    see_other = response.status == 303 and hop.method != "HEAD"
    if see_other or (response.status in (301, 302) and hop.method == "POST"):
        bare = {k: v for k, v in following.headers.items() if k.lower() != "content-type"}
        following = replace(following, method="GET", headers=bare, body=None)
    return following


async def _read(response: aiohttp.ClientResponse, max_bytes: int, hop: _Hop) -> bytes:
    # Counted after unpacking, so that a small answer cannot unfold into a large one.
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            response.close()
            raise ProviderRejected(
                f"{_place(hop)} answered with more than {max_bytes} bytes (max_bytes)"
            )
    return bytes(body)


def _joined(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _place(hop: _Hop) -> str:
    # Neither query nor fragment: they may hold secrets.
    return f"{hop.method} {hop.host}{hop.url.raw_path}"


def _unavailable(hop: _Hop, what: str, code: str) -> ProviderUnavailable:
    return ProviderUnavailable(f"{_place(hop)} {what}", code=code)
