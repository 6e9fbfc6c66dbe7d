"""As much of IMAP4rev1 (RFC 3501, IDLE of RFC 2177) as reading a mailbox needs."""

from __future__ import annotations

import asyncio
import re
import ssl
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass, field

from codex32 import Connect, ProviderRejected, ProviderUnauthorized, ProviderUnavailable

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_ANSWER_SECONDS = 60.0
_MOST_LINES, _MOST_BYTES = 200_000, 12 * 1024 * 1024


@dataclass(slots=True)
class Line:
    """One untagged response: its text, and the literals that stood in it."""

    text: bytes
    literals: list[bytes] = field(default_factory=list)


class Imap:
    """One connection; its faults are ProviderUnavailable, -Unauthorized and -Rejected.

    Attributes:
      told: The server told of a message beside an answer; whoever waits next need not.
    """

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._number = 0
        self.capabilities: frozenset[str] = frozenset()
        self.told = False

    @classmethod
    async def connect(
        cls, connect: Connect, host: str, port: int, security: str, context: ssl.SSLContext | None
    ) -> Imap:
        """Connect and be greeted; with ``starttls`` nothing is said before it is secure."""
        direct = context if security == "tls" else None
        reader, writer = await connect(host, port, tls=direct)
        imap = cls(reader, writer)
        try:
            greeting = await imap._within(imap._line())
            if not greeting.text.startswith(b"* OK"):
                raise ProviderUnavailable("the mail server does not let anybody in now")
            if security == "starttls":
                await imap.command(b"STARTTLS")
                if getattr(reader, "_buffer", b""):
                    # Said before it was secure, and meant to be believed after.
                    raise ProviderUnavailable("the mail server speaks before TLS has begun")
                try:
                    await writer.start_tls(context, server_hostname=host)  # type: ignore[arg-type]
                except (OSError, ssl.SSLError) as error:
                    kind = type(error).__name__
                    raise ProviderUnavailable(f"the mail server's TLS failed: {kind}") from None
        except BaseException:
            writer.close()
            raise
        return imap

    async def sign_in(self, user: str, password: str) -> None:
        """Sign in; the password is sent as a literal, whatever characters it has."""
        try:
            await self.command(b"LOGIN", user.encode(), password.encode())
        except ProviderRejected:
            raise ProviderUnauthorized(
                "the mail server does not accept user and password"
            ) from None
        lines = await self.command(b"CAPABILITY")
        words = [line.text for line in lines if line.text.startswith(b"* CAPABILITY")]
        self.capabilities = frozenset(b" ".join(words).decode(errors="replace").upper().split())

    async def examine(self, mailbox: str) -> dict[str, int]:
        """Open a mailbox for reading alone: ``uidvalidity``, ``uidnext``."""
        lines = await self.command(b"EXAMINE", _utf7(mailbox))
        text = b" ".join(line.text for line in lines).upper()
        found = {}
        for name in ("UIDVALIDITY", "UIDNEXT"):
            match = re.search(rb"\[" + name.encode() + rb" (\d+)\]", text)
            if match is None:
                raise ProviderRejected(f"the mail server tells no {name}")
            found[name.lower()] = int(match[1])
        return found

    async def search(self, criteria: bytes) -> list[int]:
        """UIDs, smallest first."""
        lines = await self.command(b"UID SEARCH " + criteria)
        found = [line.text[8:].split() for line in lines if line.text[:8].upper() == b"* SEARCH"]
        return sorted({int(each) for words in found for each in words if each.isdigit()})

    async def fetch(self, uid: int, max_bytes: int) -> tuple[bytes, bytes, int] | None:
        """The begin of a message, when it came, and its whole size; None where it is gone."""
        items = b"(UID INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.%d>)" % max_bytes
        for line in await self.command(b"UID FETCH %d %s" % (uid, items)):
            size = re.search(rb"RFC822\.SIZE (\d+)", line.text)
            date = re.search(rb'INTERNALDATE "([^"]+)"', line.text)
            named = re.search(rb"UID %d\b" % uid, line.text)
            if line.literals and size and date and named:
                return line.literals[-1], date[1], int(size[1])
        return None

    async def idle(self, seconds: float) -> bool:
        """Wait until the server tells of something, at most so long; whether it did."""
        tag = self._send(b"IDLE")
        await self._drain()
        if not await self._goes_on():
            raise ProviderUnavailable("the mail server does not wait as it had offered")
        told, self.told = self.told, False
        try:
            async with asyncio.timeout(seconds):
                while not told:
                    text = (await self._line()).text.upper()
                    if text.startswith(b"* BYE"):
                        raise ProviderUnavailable("the mail server says goodbye")
                    told = text.endswith((b" EXISTS", b" RECENT"))
        except TimeoutError:
            pass
        self._writer.write(b"DONE\r\n")
        await self._drain()
        await self._answer(tag)
        return told

    async def command(self, name: bytes, *arguments: bytes) -> list[Line]:
        """Send a command, its arguments as literals, and read what comes of it."""
        tag = self._send(name, literal=arguments[0] if arguments else None)
        await self._drain()
        for place, argument in enumerate(arguments):
            if not await self._goes_on():
                raise ProviderRejected(f"the mail server refused {name.decode()}")
            more = arguments[place + 1 : place + 2]
            self._writer.write(argument + (b" {%d}" % len(more[0]) if more else b"") + b"\r\n")
            await self._drain()
        return await self._answer(tag, name)

    async def close(self) -> None:
        """Let go, without waiting for anybody."""
        self._writer.close()

    def _send(self, name: bytes, literal: bytes | None = None) -> bytes:
        self._number += 1
        tag = b"c%d" % self._number
        end = b"" if literal is None else b" {%d}" % len(literal)
        self._writer.write(tag + b" " + name + end + b"\r\n")
        return tag

    async def _goes_on(self) -> bool:
        """Whether the server wants to hear more; it may tell of other things before."""
        while True:
            text = (await self._within(self._line())).text
            if text.startswith(b"* BYE"):
                raise ProviderUnavailable("the mail server says goodbye")
            if not text.startswith(b"* "):
                return text.startswith(b"+")
            self.told = self.told or text.upper().endswith(b" EXISTS")

    async def _answer(self, tag: bytes, name: bytes = b"") -> list[Line]:
        lines: list[Line] = []
        while True:
            line = await self._within(self._line())
            if line.text.startswith(b"* BYE") and name != b"LOGOUT":
                raise ProviderUnavailable("the mail server says goodbye")
            if line.text.startswith(tag + b" "):
                break
            lines.append(line)
            if name != b"EXAMINE" and line.text.upper().endswith(b" EXISTS"):
                self.told = True
            if len(lines) > _MOST_LINES:
                raise ProviderRejected("the mail server answers without end")
        status = line.text.split(b" ", 2)[1].upper()
        if status != b"OK":
            # Its words may quote what was sent.
            told = f"the mail server refused {name.decode()}"
            if b"[UNAVAILABLE]" in line.text or b"[INUSE]" in line.text:
                raise ProviderUnavailable(told)
            raise ProviderRejected(told)
        lines.append(line)
        return lines

    async def _line(self) -> Line:
        line = Line(b"")
        try:
            while True:
                part = await self._part()
                literal = _LITERAL.search(part)
                if literal is None:
                    line.text += part[:-2]
                    return line
                size = int(literal[1])
                if size > _MOST_BYTES:
                    raise ProviderRejected("the mail server sends more than it was asked for")
                line.text += part[: literal.start()]
                line.literals.append(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError):
            raise ProviderUnavailable("the connection to the mail server was cut") from None

    async def _part(self) -> bytes:
        """To the next end of a line: the UIDs of a large mailbox are more than a reader holds."""
        found = bytearray()
        while True:
            try:
                return bytes(found + await self._reader.readuntil(b"\r\n"))
            except asyncio.LimitOverrunError as error:
                found += await self._reader.readexactly(error.consumed)
            if len(found) > _MOST_BYTES:
                raise ProviderRejected("the mail server sends more than it was asked for")

    async def _within(self, coroutine: object) -> Line:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await coroutine  # type: ignore[misc, no-any-return]
        except TimeoutError:
            raise ProviderUnavailable("the mail server fell silent") from None

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            raise ProviderUnavailable("the connection to the mail server was cut") from None


def _utf7(name: str) -> bytes:
    """A mailbox's name as IMAP writes it (RFC 3501, 5.1.3)."""
    out, run = bytearray(), ""

    def flush() -> None:
        nonlocal run
        if run:
            import base64

            coded = base64.b64encode(run.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out.extend(b"&" + coded + b"-")
            run = ""

    for letter in name:
        if " " <= letter <= "~":
            flush()
            out.extend(b"&-" if letter == "&" else letter.encode())
        else:
            run += letter
    flush()
    return bytes(out)
