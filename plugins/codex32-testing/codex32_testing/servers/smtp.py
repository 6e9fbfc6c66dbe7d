"""A mail server that takes mail, and misbehaves where it is told to."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Self


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was taken, with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    secure: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """What was sent, read."""
        return message_from_bytes(self.raw, policy=default)


@dataclass
class SmtpServer:
    """Serves on 127.0.0.1, any free port, while it is entered.

    Attributes:
      tls: With what TLS is spoken; None offers none.
      implicit: TLS from the first byte, instead of STARTTLS.
      user: Who may sign in, with ``password``; empty offers no sign-in.
      replies: Verb to the reply that is given instead of the server's own, once each:
        ``{"RCPT": ["550 no such user"]}``; ``END`` is the end of the message.
      cut_at: Verbs at which the connection is cut instead of a reply.
      silent_at: Verbs at which nothing is answered any more.
      takes: Whether a mail is kept that is then cut or silent at ``END``.
      mails: What was taken, in order.
    """

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    user: str = ""
    password: str = ""
    replies: dict[str, list[str]] = field(default_factory=dict)
    cut_at: set[str] = field(default_factory=set)
    silent_at: set[str] = field(default_factory=set)
    takes: bool = True
    mails: list[Mail] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._stopped = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.tls if self.implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            self._open.discard(task)
            writer.close()

    async def wait(self) -> None:
        """Until the server is stopped."""
        await self._stopped.wait()


class _Session:
    def __init__(
        self, server: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._secure = server.implicit
        self._user = ""
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._say("220 localhost ESMTP", "HELLO")
        while line := await self._reader.readline():
            verb, _, rest = line.decode(errors="replace").strip().partition(" ")
            verb = verb.upper()
            if not await self._say(await self._reply(verb, rest), verb):
                return
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and self._server.tls is not None and not self._secure:
                await self._writer.start_tls(self._server.tls)
                self._secure = True
            if verb == "DATA" and self._taking and not await self._take():
                return

    async def _say(self, reply: str, verb: str) -> bool:
        """Answer, or not; whether the session goes on."""
        server = self._server
        if verb in server.silent_at:
            await server.wait()
        if verb in server.cut_at:
            return False
        if server.replies.get(verb):
            reply = server.replies[verb].pop(0)
        self._taking = reply.startswith("354")
        self._writer.write(reply.encode() + b"\r\n")
        await self._writer.drain()
        return True

    async def _reply(self, verb: str, rest: str) -> str:
        match verb:
            case "EHLO":
                return self._offers()
            case "HELO" | "RSET" | "NOOP":
                return "250 ok"
            case "QUIT":
                return "221 bye"
            case "STARTTLS":
                return "220 go on" if self._server.tls and not self._secure else "502 no"
            case "AUTH":
                return await self._sign_in(rest)
            case "MAIL":
                return self._begin(rest)
            case "RCPT" if self._sender is not None:
                self._recipients.append(rest.partition("<")[2].partition(">")[0])
                return "250 ok"
            case "DATA" if self._recipients:
                return "354 go on"
        return "503 bad sequence of commands"

    def _offers(self) -> str:
        offers = ["localhost", "8BITMIME"]
        if self._server.tls and not self._secure:
            offers.append("STARTTLS")
        if self._server.user and (self._secure or not self._server.tls):
            offers.append("AUTH PLAIN LOGIN")
        return "\r\n".join(f"250-{each}" for each in offers[:-1]) + f"\r\n250 {offers[-1]}"

    async def _sign_in(self, rest: str) -> str:
        kind, _, given = rest.partition(" ")
        if kind.upper() == "PLAIN":
            given = given or await self._ask("")
            _, user, password = base64.b64decode(given).decode().split("\0")
        else:
            user = base64.b64decode(given or await self._ask("VXNlcm5hbWU6")).decode()
            password = base64.b64decode(await self._ask("UGFzc3dvcmQ6")).decode()
        if (user, password) != (self._server.user, self._server.password):
            return "535 5.7.8 authentication failed for " + user
        self._user = user
        return "235 welcome"

    async def _ask(self, challenge: str) -> str:
        self._writer.write(f"334 {challenge}\r\n".encode())
        await self._writer.drain()
        return (await self._reader.readline()).decode().strip()

    def _begin(self, rest: str) -> str:
        if self._server.user and not self._user:
            return "530 5.7.0 authentication required"
        self._sender, self._recipients = rest.partition("<")[2].partition(">")[0], []
        return "250 ok"

    async def _take(self) -> bool:
        raw = bytearray()
        while (line := await self._reader.readline()) != b".\r\n":
            if not line:
                return False
            raw += line[1:] if line.startswith(b".") else line
        server = self._server
        refused = server.replies.get("END", [""])[:1]
        spoilt = "END" in server.cut_at | server.silent_at
        if not (refused and refused[0][:1] in ("4", "5")) and (server.takes or not spoilt):
            mail = Mail(
                self._sender or "", tuple(self._recipients), bytes(raw), self._secure, self._user
            )
            server.mails.append(mail)
        self._sender, self._recipients = None, []
        return await self._say("250 queued", "END")
