"""A server that is spoken to by HTTP: each message a POST (streamable HTTP)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import ProviderRejected, ProviderUnauthorized, ProviderUnavailable
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import JSON
from codex32.outside.mcp.addresses import shown, unpathed
from codex32.outside.mcp.line import MOST_BYTES, Broken, Forgotten, Line, Message

_ACCEPT = "application/json, text/event-stream"
#: Seconds that one exchange may take; whoever has a conversation sets a limit to the whole of it.
_LONGEST_SECONDS = 3600.0
#: Seconds in which a server shall take note that we leave.
_LEAVE_SECONDS = 5.0
#: What ends an event.
_GAPS = (b"\r\n\r\n", b"\n\n", b"\r\r")
_LONGEST_GAP = 4
_SESSION = re.compile(r"[\x21-\x7e]{1,1000}")


class PostLine(Line):
    """Speaks to one address.

    Args:
      client: May speak to its host.
      headers: Of every request, credentials among them.
      token: Gives an access token, another one where it is told that the last was not taken;
        None where none is wanted.
    """

    def __init__(
        self,
        client: HttpClient,
        url: str,
        headers: Mapping[str, str],
        token: Callable[[bool], Awaitable[str]] | None = None,
    ) -> None:
        self._client, self._url, self._headers = client, url, dict(headers)
        self._token = token
        self._session: str | None = None

    async def ask(self, request: Message) -> Message:
        """The answer, as JSON or in a stream of events."""
        response = await self._post(request, _Come(request["id"]))
        for message in await asyncio.to_thread(_messages, response):
            if _answers(message, request["id"]):
                assert isinstance(message, Mapping)
                return message
        if response.status == 404 and self._session is not None:
            raise Forgotten("answers 404 and nothing of use")
        # What it refuses, or sends elsewhere, it has not done; of its own faults nobody knows, and
        # the other redirects may follow the deed.
        refused = response.status in (307, 308) or 400 <= response.status < 500
        raise Broken(f"answers {response.status} and nothing of use", sent=not refused)

    async def tell(self, notice: Message) -> None:
        """Send it; the answer says nothing."""
        response = await self._post(notice)
        if response.status >= 300:
            raise Broken(f"answers {response.status}")

    async def close(self, *, well: bool) -> None:
        """Tell the server that its session is over, if it keeps one."""
        if self._session is None:
            return
        request = HttpRequest(
            self._url, "DELETE", headers=self._all_headers(), timeout_seconds=_LEAVE_SECONDS
        )
        try:
            await self._send(request)
        except (ProviderUnavailable, ProviderRejected, ProviderUnauthorized):
            return  # it forgets sessions by itself

    async def _post(
        self, message: Message, enough: Callable[[bytearray], bool] | None = None
    ) -> HttpResponse:
        request = HttpRequest(
            self._url,
            "POST",
            headers=self._all_headers(),
            json=dict(message),
            has_json=True,
            timeout_seconds=_LONGEST_SECONDS,
            max_bytes=MOST_BYTES,
            enough=enough,
        )
        try:
            response = await self._send(request)
        except ProviderUnavailable as fault:
            sent = fault.fault_code not in ("http-unreachable", "mcp-unreachable")
            raise Broken(f"fails: {unpathed(fault.message, self._url)}", sent=sent) from None
        except ProviderRejected as fault:
            raise Broken(f"fails: {unpathed(fault.message, self._url)}") from None
        if response.status in (401, 403):
            raise ProviderUnauthorized(f"{shown(self._url)} answers {response.status}")
        self.heard(len(response.body))
        told = response.headers.get("mcp-session-id")
        if self._session is None and told is not None and _SESSION.fullmatch(told):
            self._session = told
        return response

    async def _send(self, request: HttpRequest) -> HttpResponse:
        """Send it, with a token if there is to be one; one that has ended is replaced once."""
        if self._token is None:
            return await self._client.send(request)
        for anew in (False, True):
            token = await self._token(anew)
            self.confide(token)
            headers = {**request.headers, "Authorization": f"Bearer {token}"}
            response = await self._client.send(replace(request, headers=headers))
            if response.status != 401:
                break
        return response

    def _all_headers(self) -> dict[str, str]:
        more = {"Accept": _ACCEPT}
        if self.revision is not None:
            more["MCP-Protocol-Version"] = self.revision
        if self._session is not None:
            more["Mcp-Session-Id"] = self._session
        return {**self._headers, **more}


class _Come:
    """Whether a stream of events has brought the answer to a request: some leave it open then."""

    def __init__(self, identity: object) -> None:
        self._identity = identity
        self._body = bytearray()
        #: Up to where events were looked at, and up to where their ends were looked for.
        self._looked = self._searched = 0

    def __call__(self, body: bytearray) -> bool:
        if body is not self._body:  # asked once more, with another token
            self._body, self._looked, self._searched = body, 0, 0
        begin = max(self._looked, self._searched - _LONGEST_GAP)
        end = max(body.rfind(gap, begin) for gap in _GAPS)
        self._searched = len(body)
        if end <= self._looked:
            return False
        whole, self._looked = bytes(body[self._looked : end]), end
        return any(self._is_it(text) for text in _events(whole) if b'"id"' in text)

    def _is_it(self, text: bytes) -> bool:
        try:
            return _answers(parse_foreign(text), self._identity)
        except NotJson:
            return False


def _answers(message: JSON, identity: object) -> bool:
    """Whether a message answers a request; a server may number its own requests as we do ours."""
    return (
        isinstance(message, Mapping) and "method" not in message and message.get("id") == identity
    )


def _messages(response: HttpResponse) -> list[JSON]:
    """The messages of an answer, in their order; what is none is left out."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    texts = _events(response.body) if kind == "text/event-stream" else [response.body]
    found = []
    for text in texts:
        try:
            found.append(parse_foreign(text))
        except NotJson:
            continue
    return found


def _events(body: bytes) -> Iterator[bytes]:
    """What the events of a stream carry."""
    for event in re.split(b"|".join(_GAPS), body):
        lines = [
            line[5:].removeprefix(b" ")
            for line in re.split(rb"\r\n|\n|\r", event)
            if line.startswith(b"data:")
        ]
        if lines:
            yield b"\n".join(lines)
