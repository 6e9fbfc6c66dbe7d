"""Requests as they go over the wire, and what a redirect makes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from yarl import URL

from codex32.kernel.contracts.http import HttpRequest, HttpResponse
from codex32.kernel.errors import ProviderRejected
from codex32.kernel.json_values import JSON, dumps
from codex32.outside.hosts import normal_host

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: All that goes on to another origin: any other header may be a credential.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "user-agent", "content-type"})
#: By these a request could mean another host than was checked, or hide a second request.
_OUR_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


@dataclass(frozen=True, slots=True)
class Hop:
    """One request as it goes over the wire."""

    url: URL
    method: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def host(self) -> str:
        """The host in its normal form."""
        return normal_host(self.url.raw_host or "")

    @property
    def port(self) -> int:
        """The port, also where the URL leaves it to the scheme."""
        return self.url.port or 0

    @property
    def authority(self) -> str:
        """Host and port as one text."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def place(self) -> str:
        """How errors name it: neither query nor fragment, which may hold secrets."""
        host = self.host if self.url.is_default_port() else self.authority
        return f"{self.method} {host}{self.url.raw_path}"


def first_hop(request: HttpRequest) -> Hop:
    """What a request begins with.

    Raises:
      ProviderRejected: The URL is no plain URL, or something cannot be sent.
    """
    url = _checked(request.url)
    try:
        url = url.extend_query(_pairs(request.query))
        body, kind = _body(request)
    except ValueError:
        raise ProviderRejected("the query or the body holds what cannot be sent") from None
    headers = _checked_headers(request.headers)
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    return Hop(url, request.method.upper(), headers, body)


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


def redirected(hop: Hop, response: HttpResponse) -> Hop | None:
    """Where an answer leads on, as browsers understand it; None where it does not.

    Raises:
      ProviderRejected: It leads to what is no plain URL.
    """
    location = response.headers.get("location")
    if response.status not in _REDIRECTS or not location:
        return None
    try:
        url = _checked(str(hop.url.join(URL(location))))
    except ValueError:
        raise ProviderRejected(f"{hop.place} redirects to what is no URL") from None
    following = replace(hop, url=url)
    if url.origin() != hop.url.origin():
        kept = {k: v for k, v in hop.headers.items() if k.lower() in _HARMLESS_HEADERS}
        following = replace(following, headers=kept)
    see_other = response.status == 303 and hop.method != "HEAD"
    if see_other or (response.status in (301, 302) and hop.method == "POST"):
        bare = {k: v for k, v in following.headers.items() if k.lower() != "content-type"}
        following = replace(following, method="GET", headers=bare, body=None)
    return following
