"""A server that is spoken to by HTTP: each message a POST (streamable HTTP)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import ProviderRejected, ProviderUnauthorized, ProviderUnavailable
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import JSON
from codex32.outside.mcp.addresses import shown, unpathed
from codex32.outside.mcp.events import STREAM, Hearing, answers, events
from codex32.outside.mcp.line import MOST_BYTES, Broken, Forgotten, Line, Message, answer_to

_ACCEPT = f"application/json, {STREAM}"
#: Seconds that one exchange may take; whoever has a conversation sets a limit to the whole of it.
_LONGEST_SECONDS = 3600.0
#: Seconds in which a server shall take note that we leave.
_LEAVE_SECONDS = 5.0
#: Seconds before a stream that ended early is taken up again, unless the server says another
#: number; and the least of it.
_RESUME_SECONDS, _LEAST_RESUME_SECONDS = 1.0, 0.1
#: Times in a row that a stream cannot be taken up again, after which it is lost.
_MOST_LOST: Final = 3
#: What a server may ask in a stream before we have answered what it asked before.
_MOST_ASKED: Final = 100
_SESSION = re.compile(r"[\x21-\x7e]{1,1000}")


class _Cut(Broken):
    """An answer broke off."""


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
        """The answer, as JSON or in a stream of events.

        What the server asks in the stream is answered meanwhile. Where the stream ends before the
        answer came, it is taken up again behind the last event that has an id.
        """
        async with self._answering() as asked:
            hearing = Hearing(request["id"], asked)
            try:
                response: HttpResponse | None = await self._post(request, hearing)
            except _Cut:
                if hearing.last is None:
                    raise
                response = None
            while hearing.answer is None:
                for message in await asyncio.to_thread(_messages, response) if response else ():
                    if answers(message, request["id"]):
                        assert isinstance(message, Mapping)
                        return message
                if response is not None and (hearing.last is None or _kind(response) != STREAM):
                    raise self._useless(response)
                response = await self._resumed(hearing)
            return hearing.answer

    def _useless(self, response: HttpResponse) -> Broken:
        """What an answer means that holds none."""
        if response.status == 404 and self._session is not None:
            return Forgotten("answers 404 and nothing of use")
        # What it refuses, or sends elsewhere, it has not done; of its own faults nobody knows, and
        # the other redirects may follow the deed.
        refused = response.status in (307, 308) or 400 <= response.status < 500
        return Broken(f"answers {response.status} and nothing of use", sent=not refused)

    async def _resumed(self, hearing: Hearing) -> HttpResponse | None:
        """What a server goes on to say where a stream ended; None where it was cut once more."""
        last, fault = hearing.last, "is gone where its stream was to go on"
        assert last is not None
        for _ in range(_MOST_LOST):
            pause = _RESUME_SECONDS if hearing.retry is None else hearing.retry / 1000
            await asyncio.sleep(max(pause, _LEAST_RESUME_SECONDS))
            request = HttpRequest(
                self._url,
                headers={**self._all_headers(), "Accept": STREAM, "Last-Event-ID": last},
                timeout_seconds=_LONGEST_SECONDS,
                max_bytes=MOST_BYTES,
                enough=hearing,
            )
            try:
                response = await self._exchange(request)
            except _Cut:
                if hearing.answer is not None or hearing.last != last:
                    return None
            except Broken as broken:
                fault = broken.told
            except ProviderUnauthorized as refused:
                # Of what it was asked before it may have done all.
                raise Broken(refused.message) from None
            else:
                if response.status != 200 or _kind(response) != STREAM:
                    told = f"answers {response.status} where its stream was to go on"
                    raise Broken(told)
                return response
        raise Broken(fault)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[Callable[[Mapping[str, Any]], None]]:
        """Takes what a server asks, and answers one after the other beside all else."""
        waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(_MOST_ASKED)

        async def answer() -> None:
            while True:
                if (told := answer_to(await waiting.get())) is not None:
                    # It is the server's loss; what was asked of it goes on.
                    with suppress(Broken, ProviderUnauthorized):
                        await self._post(told)

        def asked(message: Mapping[str, Any]) -> None:
            with suppress(asyncio.QueueFull):
                waiting.put_nowait(message)

        task = asyncio.create_task(answer())
        try:
            yield asked
        finally:
            task.cancel()

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
        return await self._exchange(request)

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        try:
            response = await self._send(request)
        except ProviderUnavailable as fault:
            if fault.fault_code == "http-cut" and isinstance(request.enough, Hearing):
                self.heard(request.enough.length)
                raise _Cut(f"fails: {unpathed(fault.message, self._url)}") from None
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


def _kind(response: HttpResponse) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _messages(response: HttpResponse) -> list[JSON]:
    """The messages of an answer, in their order; what is none is left out."""
    streamed = _kind(response) == STREAM
    texts = [e.data or b"" for e in events(response.body)] if streamed else [response.body]
    found = []
    for text in texts:
        try:
            found.append(parse_foreign(text))
        except NotJson:
            continue
    return found
