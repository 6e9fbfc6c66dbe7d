"""Watching a mailbox: what is new since the cursor, then waiting for more."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from codex32 import JSON, Batch, Connect, News, Source
from codex32_mail.imap import Imap
from codex32_mail.message import read_message

#: Servers drop who is silent for half an hour; what stands between, after some five minutes, and
#: tells nobody, so that news would be waited for in vain.
_LONGEST_IDLE_SECONDS = 4 * 60.0
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where mail is, and how it is read; ``password`` names a secret."""

    host: str
    port: int
    security: str
    user: str
    password: str
    name: str
    poll_seconds: float
    max_bytes: int
    ca_file: str | None = None


class MailboxSource(Source):
    """New messages of a mailbox, in the order in which they came, one a batch.

    The cursor is the mailbox's ``uidvalidity``, the last ``uid`` and when that came; ``since`` is
    when the last message came that was there before the trigger. A message's key does not depend
    on UIDs. Where a server gives out new ones, messages up to the UID ``until`` are looked at once
    more if they came after ``floor``, a day before the last one; those that were answered are
    known by their keys.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.secrets = (mailbox.password,)

    async def watch(
        self, cursor: JSON, secrets: Mapping[str, str], connect: Connect
    ) -> AsyncIterator[Batch]:
        """See :class:`Source`; the server tells by itself (IDLE), or is asked again and again."""
        box = self.mailbox
        context = None
        if box.security != "none":
            context = await asyncio.to_thread(ssl.create_default_context, cafile=box.ca_file)
        imap = await Imap.connect(connect, box.host, box.port, box.security, context)
        try:
            await imap.sign_in(box.user, secrets[box.password])
            opened = await imap.examine(box.name)
            if cursor is None:
                cursor = {
                    "uidvalidity": opened["uidvalidity"],
                    "uid": opened["uidnext"] - 1,
                    "came_at": None,
                    "until": 0,
                    "floor": None,
                    "since": await _newest(imap),
                }
                yield Batch((), cursor)
            while True:
                async for batch in self._news(imap, cursor, opened["uidvalidity"]):
                    cursor = batch.cursor
                    yield batch
                await self._wait(imap)
        finally:
            await imap.close()

    async def _news(self, imap: Imap, cursor: JSON, uidvalidity: int) -> AsyncIterator[Batch]:
        if cursor["uidvalidity"] != uidvalidity:
            cursor = {**cursor, "uidvalidity": uidvalidity, "uid": 0, "until": await _last(imap)}
            cursor["floor"] = _floor(cursor)
            yield Batch((), cursor)
        last, until, floor = cursor["uid"], cursor["until"], cursor["floor"]
        # `n:*` holds the last message even where its UID is smaller than n.
        uids = [uid for uid in await imap.search(b"UID %d:*" % (last + 1)) if uid > last]
        late = set(await imap.search(_since(floor))) if last < until else set()
        for uid in uids:
            if uid <= until and uid not in late:
                continue
            fetched, news = await imap.fetch(uid, self.mailbox.max_bytes), []
            if fetched is not None:
                raw, date, size = fetched
                came_at = _moment(date)
                if uid > until or floor is None or came_at is None or came_at > floor:
                    about = await asyncio.to_thread(read_message, raw, size)
                    about["event"]["uid"] = uid
                    news = [News(_key(raw, date, size), about)]
                cursor = {**cursor, "came_at": came_at or cursor["came_at"]}
            cursor = {**cursor, "uid": uid}
            yield Batch(news, cursor)

    async def _wait(self, imap: Imap) -> None:
        box = self.mailbox
        if imap.told:
            imap.told = False
            return
        if "IDLE" in imap.capabilities:
            await imap.idle(_LONGEST_IDLE_SECONDS)
            return
        await asyncio.sleep(box.poll_seconds)
        await imap.command(b"NOOP")


def _key(raw: bytes, date: bytes, size: int) -> str:
    """What is the same of a message under every UID, and of no two messages."""
    head = raw.partition(b"\r\n\r\n")[0]
    return hashlib.sha256(b"\0".join((head, date, b"%d" % size))).hexdigest()


async def _last(imap: Imap) -> int:
    return max(await imap.search(b"ALL"), default=0)


async def _newest(imap: Imap) -> int | None:
    """When the last message came that is there already."""
    last = await _last(imap)
    # Of an empty mailbox, servers refuse to hear of a message 0.
    fetched = await imap.fetch(last, 1) if last else None
    return None if fetched is None else _moment(fetched[1])


def _moment(date: bytes) -> int | None:
    """An INTERNALDATE in seconds since 1970."""
    try:
        return int(datetime.strptime(date.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp())
    except ValueError:
        return None


def _floor(cursor: JSON) -> int | None:
    """Messages that came until then, in seconds since 1970, are old, whatever their UIDs."""
    moments = [cursor["since"], cursor["came_at"] and cursor["came_at"] - 86400]
    return max((each for each in moments if each is not None), default=None)


def _since(moment: int | None) -> bytes:
    """What was there since the day before: the zones of servers differ by less than that."""
    if moment is None:
        return b"ALL"
    day = datetime.fromtimestamp(moment, UTC) - timedelta(days=1)
    return f"SINCE {day.day}-{_MONTHS[day.month - 1]}-{day.year}".encode()
