"""A mailbox that is read by IMAP, and misbehaves where it is told to."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Stored:
    """A message in the mailbox."""

    uid: int
    raw: bytes
    date: datetime

    @property
    def internal_date(self) -> bytes:
        """As IMAP writes it."""
        return self.date.strftime("%d-%b-%Y %H:%M:%S %z").encode()


@dataclass
class ImapServer:
    """Serves one mailbox on 127.0.0.1, any free port, while it is entered.

    Attributes:
      tls: With what TLS is spoken; None offers none. With ``implicit`` from the first byte.
      idle: Whether it offers IDLE.
      cut_at: Commands at which the connection is cut instead of an answer, once each.
      commands: Every command that came, without its tag.
      signed_in: How often somebody did.
    """

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    idle: bool = True
    user: str = "bots"
    password: str = 'S3CRET "\\ ü'  # noqa: S105
    uidvalidity: int = 1
    messages: list[Stored] = field(default_factory=list)
    cut_at: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    signed_in: int = 0
    port: int = 0
    _uidnext: int = 1
    _delivered: int = 0

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        self._idling = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def deliver(self, raw: bytes | str, date: datetime | None = None) -> int:
        """Put a message into the mailbox; its UID."""
        data = raw.encode() if isinstance(raw, str) else raw
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        uid, self._uidnext = self._uidnext, self._uidnext + 1
        self._delivered += 1
        date = date or datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=self._delivered)
        self.messages.append(Stored(uid, data, date))
        self._changed.set()
        return uid

    def renumber(self) -> None:
        """Give every message another UID, as a server does that lost its index."""
        self.uidvalidity += 1
        kept, self._uidnext = self.messages, 1
        self.messages = []
        for each in kept:
            self.messages.append(Stored(self._uidnext, each.raw, each.date))
            self._uidnext += 1

    async def wait_until_idle(self) -> None:
        """Until a client waits for news."""
        await self._idling.wait()

    async def cut_all(self) -> None:
        """Cut every connection."""
        tasks, self._tasks = list(self._tasks), set()
        self._idling.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        secure = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=secure)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        await self.cut_all()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()


class _Session:
    def __init__(
        self, server: ImapServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._allowed = self._open = False
        self._known = 0

    async def run(self) -> None:
        self._say(b"* OK IMAP4rev1 ready")
        while True:
            await self._writer.drain()
            words = await self._command()
            if words is None:
                return
            tag, name, rest = words
            self._server.commands.append(f"{name} {rest}".strip())
            if name in self._server.cut_at:
                self._server.cut_at.remove(name)
                return
            if self._open and len(self._server.messages) != self._known:
                self._known = len(self._server.messages)
                self._say(b"* %d EXISTS" % self._known)
            answer = await self._answer(name, rest)
            self._say(tag.encode() + b" " + answer)
            if name == "LOGOUT":
                return
            if name == "STARTTLS" and answer.startswith(b"OK"):
                await self._writer.drain()
                assert self._server.tls is not None
                await self._writer.start_tls(self._server.tls)

    async def _command(self) -> tuple[str, str, str] | None:
        text = b""
        while True:
            line = await self._reader.readline()
            if not line:
                return None
            text += line.rstrip(b"\r\n")
            literal = re.search(rb"\{(\d+)\}$", text)
            if literal is None:
                break
            self._say(b"+ go on")
            await self._writer.drain()
            text = (
                text[: literal.start()] + await self._reader.readexactly(int(literal[1])) + b"\0"
            )
        tag, name, *rest = text.decode().split(" ", 2)
        if name == "UID":
            after, _, others = rest[0].partition(" ")
            return tag, f"UID {after}", others
        return tag, name, rest[0] if rest else ""

    def _say(self, line: bytes) -> None:
        self._writer.write(line + b"\r\n")

    async def _answer(self, name: str, rest: str) -> bytes:
        server = self._server
        match name:
            case "CAPABILITY":
                self._say(b"* CAPABILITY IMAP4rev1" + b" IDLE" * server.idle)
                return b"OK done"
            case "STARTTLS":
                return b"OK begin" if server.tls and not server.implicit else b"BAD no"
            case "LOGIN":
                given = [each.strip() for each in rest.split("\0")[:2]]
                self._allowed = given == [server.user, server.password]
                server.signed_in += self._allowed
                return (
                    b"OK hello" if self._allowed else b"NO [AUTHENTICATIONFAILED] " + rest.encode()
                )
            case "NOOP" | "LOGOUT":
                return b"OK done"
        if not self._allowed:
            return b"NO sign in first"
        match name:
            case "EXAMINE":
                return self._examine(rest)
            case "UID SEARCH":
                found = b" ".join(b"%d" % uid for uid in self._search(rest))
                self._say(b"* SEARCH " + found)
                return b"OK done"
            case "UID FETCH" if rest.startswith("0 "):
                return b"BAD invalid uidset"
            case "UID FETCH":
                self._fetch(rest)
                return b"OK done"
            case "IDLE" if server.idle:
                return await self._wait()
        return b"BAD unknown"

    def _examine(self, rest: str) -> bytes:
        if rest.strip("\0").strip() != "INBOX":
            return b"NO there is no such mailbox"
        server, self._open = self._server, True
        self._known = len(server.messages)
        self._say(b"* %d EXISTS" % self._known)
        self._say(b"* OK [UIDVALIDITY %d] valid" % server.uidvalidity)
        self._say(b"* OK [UIDNEXT %d] next" % server._uidnext)
        return b"OK [READ-ONLY] done"

    def _search(self, rest: str) -> list[int]:
        uids = [each.uid for each in self._server.messages]
        if rest == "ALL":
            return uids
        if rest.startswith("SINCE "):
            since = datetime.strptime(rest[6:], "%d-%b-%Y").replace(tzinfo=UTC)
            return [each.uid for each in self._server.messages if each.date >= since]
        first = int(rest.removeprefix("UID ").removesuffix(":*"))
        # The star is the last message, even where that is before the first.
        return [uid for uid in uids if uid >= first] or uids[-1:]

    def _fetch(self, rest: str) -> None:
        uid = int(rest.partition(" ")[0])
        most = re.search(r"<0\.(\d+)>", rest)
        assert most is not None
        for number, each in enumerate(self._server.messages, 1):
            if each.uid == uid:
                part = each.raw[: int(most[1])]
                head = (
                    b'* %d FETCH (UID %d INTERNALDATE "%s" RFC822.SIZE %d BODY[]<0> {%d}\r\n'
                    % (
                        number,
                        uid,
                        each.internal_date,
                        len(each.raw),
                        len(part),
                    )
                )
                self._writer.write(head + part + b")\r\n")

    async def _wait(self) -> bytes:
        server = self._server
        self._say(b"+ idling")
        await self._writer.drain()
        done = asyncio.create_task(self._reader.readline())
        server._idling.set()
        try:
            while not done.done():
                if len(server.messages) != self._known:
                    self._known = len(server.messages)
                    self._say(b"* %d EXISTS" % self._known)
                    await self._writer.drain()
                    continue  # more may have come meanwhile
                server._changed.clear()
                news = asyncio.create_task(server._changed.wait())
                await asyncio.wait({done, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            if not done.result():
                raise ConnectionError
        finally:
            done.cancel()
        return b"OK done"
