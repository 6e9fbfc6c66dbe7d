import asyncio
import base64
import ssl
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

import codex32_mail
from codex32 import CapabilityRefused, ProviderUnauthorized, ProviderUnavailable
from codex32.outside.streams import GuardedStreams
from codex32_mail.imap import Imap, _utf7
from codex32_mail.message import read_message
from codex32_mail.trigger import MailTrigger
from codex32_testing.conformance import TriggerTypeSuite
from codex32_testing.loading import load_plugin
from codex32_testing.servers.certificates import server_context
from codex32_testing.servers.imap import ImapServer, Stored

CONFIG = {"host": "imap.example.com", "user": "bots", "password": "IMAP"}


class TestMailTrigger(TriggerTypeSuite):
    valid = (CONFIG, {**CONFIG, "security": "starttls", "poll": "10s", "max_bytes": "2MiB"})
    wrong = (
        {},
        "imap.example.com",
        {**CONFIG, "password": "pass word"},
        {**CONFIG, "poll": "1s"},
        {**CONFIG, "poll": "1h"},
        {**CONFIG, "poll": "soon"},
        {**CONFIG, "max_bytes": "1GiB"},
        {**CONFIG, "user": "a\r\nb"},
        {**CONFIG, "folder": "INBOX"},
    )

    @pytest.fixture
    def trigger_type(self):
        return MailTrigger()

    def test_how_often_it_looks_changes_nothing_of_what_was_read(self, trigger_type):
        assert trigger_type.identity(CONFIG) == trigger_type.identity({**CONFIG, "poll": "5m"})
        assert trigger_type.identity(CONFIG) != trigger_type.identity({**CONFIG, "user": "x"})


def mail(subject, **headers):
    lines = [f"Subject: {subject}", "From: Ann <ann@example.com>", "To: bots@example.com"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\n".join([*lines, "", f"text of {subject}", ""])


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return server_context(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def imap(tls):
    async with ImapServer(tls=tls[0], implicit=True) as server:
        yield server


@pytest.fixture
def watch(imap, tls):
    def watch(cursor=None, allowed=None, password=None, server=imap, **changed):
        config = {
            "host": "127.0.0.1",
            "port": server.port,
            "user": "bots",
            "password": "IMAP",
            **changed,
        }
        source = MailTrigger(str(tls[1])).source(config)
        hosts = [f"127.0.0.1:{server.port}"] if allowed is None else allowed
        connect = GuardedStreams(["127.0.0.0/8"]).for_hosts(hosts)
        return source.watch(cursor, {"IMAP": password or server.password}, connect)

    return watch


async def take(stream, count):
    """So many batches, then it is left."""
    found = []
    async with aclosing(stream), asyncio.timeout(60):
        async for batch in stream:
            found.append(batch)
            if len(found) == count:
                return found
    raise AssertionError("the source ended")


def subjects(batches):
    return [news.about["event"]["subject"] for batch in batches for news in batch.news]


async def test_what_is_there_already_is_not_new_and_what_comes_is_told_at_once(imap, watch):
    await imap.deliver(mail("old"))
    stream = watch()
    async with aclosing(stream), asyncio.timeout(60):
        first = await anext(stream)
        assert (first.news, first.cursor["uid"]) == ((), 1)
        waiting = asyncio.ensure_future(anext(stream))
        await imap.wait_until_idle()
        await imap.deliver(mail("new"))
        assert subjects([await waiting]) == ["new"]


async def test_an_empty_mailbox_is_watched(imap, watch):
    """A real server refuses to hear of a message 0."""
    stream = watch()
    async with aclosing(stream), asyncio.timeout(60):
        await anext(stream)
        await imap.deliver(mail("first"))
        assert subjects([await anext(stream)]) == ["first"]


async def test_of_however_many_messages_the_new_one_is_told(imap, watch):
    """Their UIDs come in one line, longer than what a reader holds."""
    date = datetime(2026, 3, 1, 12, tzinfo=UTC)
    imap.messages += [Stored(uid, b"\r\n", date) for uid in range(1, 40_001)]
    imap._uidnext = 40_001
    stream = watch()
    async with aclosing(stream), asyncio.timeout(60):
        first = await anext(stream)
        assert first.cursor["uid"] == 40_000
        await imap.deliver(mail("one more"))
        assert subjects([await anext(stream)]) == ["one more"]


async def test_it_goes_on_from_the_cursor_and_tells_each_message_once(imap, watch):
    (first,) = await take(watch(), 1)
    for subject in ("a", "b", "c"):
        await imap.deliver(mail(subject))
    (one,) = await take(watch(first.cursor), 1)
    rest = await take(watch(one.cursor), 2)
    assert subjects([one, *rest]) == ["a", "b", "c"]
    keys = {news.key for batch in (one, *rest) for news in batch.news}
    assert len(keys) == 3
    # The last message is found by `n:*` for ever; it is not told again.
    await imap.deliver(mail("d"))
    assert subjects(await take(watch(rest[-1].cursor), 1)) == ["d"]


async def test_new_uids_make_no_message_new(imap, watch):
    await imap.deliver(mail("old"))
    (first,) = await take(watch(), 1)
    for subject in ("a", "b"):
        await imap.deliver(mail(subject))
    before = await take(watch(first.cursor), 2)
    imap.messages.pop(1)
    imap.renumber()
    await imap.deliver(mail("c"))
    # Also where it is cut in the middle of looking once more.
    begun, old, b = await take(watch(before[-1].cursor), 3)
    after = [begun, old, b, *await take(watch(b.cursor), 1)]
    assert subjects(after) == ["b", "c"]
    known = {news.key for batch in before for news in batch.news}
    assert [news.key in known for batch in after for news in batch.news] == [True, False]
    assert after[-1].cursor["uidvalidity"] == 2
    await imap.deliver(mail("moved here", Date="long ago"), datetime(2001, 1, 1, tzinfo=UTC))
    assert subjects(await take(watch(after[-1].cursor), 1)) == ["moved here"]


async def test_a_server_without_idle_is_asked_again_and_again(imap, watch, monkeypatch):
    monkeypatch.setattr("codex32_mail.trigger._SHORTEST_POLL_SECONDS", 0.0)
    imap.idle = False
    (first,) = await take(watch(), 1)
    stream = watch(first.cursor, poll="20ms")
    waiting = asyncio.ensure_future(take(stream, 1))
    while "NOOP" not in imap.commands:
        await asyncio.sleep(0.01)
    await imap.deliver(mail("new"))
    assert subjects(await waiting) == ["new"]
    assert "IDLE" not in imap.commands


async def test_starttls_is_insisted_on(imap, watch, tls):
    async with ImapServer(tls=tls[0]) as upgraded:
        await take(watch(server=upgraded, security="starttls"), 1)
        assert upgraded.commands[0] == "STARTTLS"
    async with ImapServer() as plain:
        with pytest.raises(Exception, match="refused STARTTLS"):
            await take(watch(server=plain, security="starttls"), 1)
        assert plain.signed_in == 0


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(imap):
    source = MailTrigger().source({**CONFIG, "host": "127.0.0.1", "port": imap.port})
    connect = GuardedStreams(["127.0.0.0/8"]).for_hosts([f"127.0.0.1:{imap.port}"])
    with pytest.raises(ProviderUnavailable, match="does not speak TLS as it should"):
        await take(source.watch(None, {"IMAP": imap.password}, connect), 1)
    assert imap.signed_in == 0


async def test_a_wrong_password_is_told_and_not_shown(imap, watch):
    with pytest.raises(ProviderUnauthorized) as caught:
        await take(watch(password="WRONG"), 1)
    assert "WRONG" not in str(caught.value)


async def test_hosts_that_the_bot_does_not_name_are_not_spoken_to(imap, watch):
    with pytest.raises(CapabilityRefused, match="permit it with allow"):
        await take(watch(allowed=["imap.example.com"]), 1)
    source = MailTrigger().source({**CONFIG, "host": "127.0.0.1", "port": imap.port})
    guarded = GuardedStreams().for_hosts([f"127.0.0.1:{imap.port}"])
    with pytest.raises(CapabilityRefused, match="no public address"):
        await take(source.watch(None, {"IMAP": "x"}, guarded), 1)
    assert imap.commands == []


@pytest.mark.parametrize("command", ["LOGIN", "CAPABILITY", "EXAMINE", "UID SEARCH", "UID FETCH"])
async def test_a_cut_at_any_moment_loses_and_doubles_nothing(imap, watch, command):
    (first,) = await take(watch(), 1)
    await imap.deliver(mail("a"))
    imap.cut_at.append(command)
    with pytest.raises(ProviderUnavailable):
        await take(watch(first.cursor), 1)
    assert subjects(await take(watch(first.cursor), 1)) == ["a"]


async def test_a_cut_while_it_waits_is_a_fault_that_may_be_tried_again(imap, watch):
    (first,) = await take(watch(), 1)
    waiting = asyncio.ensure_future(take(watch(first.cursor), 1))
    await imap.wait_until_idle()
    await imap.cut_all()
    with pytest.raises(ProviderUnavailable):
        await waiting


async def test_of_a_long_message_the_begin_is_read(imap, watch):
    (first,) = await take(watch(), 1)
    await imap.deliver(mail("long") + "x" * 100_000)
    (batch,) = await take(watch(first.cursor, max_bytes="4KiB"), 1)
    event = batch.news[0].about["event"]
    assert event["truncated"]
    assert event["size"] > 100_000
    assert len(event["text"]) < 4096


class Deaf:
    """The writing end of a connection whose other end has said all already."""

    def write(self, data):
        pass

    async def drain(self):
        pass


async def test_what_a_server_tells_before_it_waits_is_heard():
    reader = asyncio.StreamReader()
    reader.feed_data(
        b"* OK Still here\r\n+ Go on\r\n+ Go on\r\nc1 OK in\r\n* CAPABILITY IDLE\r\nc2 OK\r\n"
        b"* 3 EXISTS\r\n+ idling\r\nc3 OK done\r\n"
        b"* 3 FETCH (FLAGS ())\r\n+ idling\r\n* 4 EXISTS\r\nc4 OK done\r\n"
        b"* BYE bye\r\n"
    )
    imap = Imap(reader, Deaf())
    await imap.sign_in("bots", "secret")
    assert await imap.idle(5)
    assert await imap.idle(5)
    assert not imap.told
    with pytest.raises(ProviderUnavailable, match="goodbye"):
        await imap.idle(5)


def test_a_mailbox_is_named_as_imap_writes_it():
    assert _utf7("Entwürfe & mehr") == b"Entw&APw-rfe &- mehr"


MIXED = b"""From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.com>
To: bots@example.com, Ann <ann@example.com>
Subject: =?utf-8?b?R3LDvMOfZQ==?=
Message-ID: <1@example.com>
In-Reply-To: <0@example.com>
References: <-1@example.com> <0@example.com>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

Z3LDvMOfZQ==
--c
Content-Type: text/html

<p>hi</p>
--c--
--b
Content-Type: text/csv; name=x
Content-Disposition: attachment; filename="../../a.csv"

1,2
--b--
"""


def test_a_message_is_read_whole():
    told = read_message(MIXED, len(MIXED))
    event = told["event"]
    assert event["from"] == [{"name": "Jürgen", "address": "juergen@example.com"}]
    assert [each["address"] for each in event["to"]] == ["bots@example.com", "ann@example.com"]
    assert event["subject"] == told["headers"]["subject"] == "Grüße"
    assert event["text"] == "grüße"
    assert event["html"].strip() == "<p>hi</p>"
    assert event["references"] == ["<-1@example.com>", "<0@example.com>"]
    assert (event["message_id"], event["automatic"]) == ("<1@example.com>", True)
    (attached,) = event["attachments"]
    assert attached["name"] == ".._.._a.csv"
    assert base64.b64decode(attached["content"]).strip() == b"1,2"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"no headers at all",
        b"Subject: \xff\xfe\x00\r\nFrom: <<>>,,@\r\n\r\n\x00\xff",
        b"Content-Type: text/plain; charset=nosuch\r\n\r\n\xe4",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multi",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Date: never\r\nTo: " + b"a@b, " * 1000 + b"\r\n\r\nx",
    ],
    ids=range(8),
)
def test_whatever_strangers_send_is_read_somehow(raw):
    told = read_message(raw, len(raw))
    assert "\x00" not in repr(told)
    repr(told).encode()


@pytest.mark.parametrize(
    "header",
    [b"To: " + b"a@b.c, " * 40_000, b"To: " + b'"' * 200_000, b"To: " + b"a." * 100_000 + b"@x",
     b"Content-Type: multipart/mixed; " + b"a=b; " * 50_000, b"Subject: " + b"a " * 200_000],
)  # fmt: skip
def test_a_header_of_any_length_is_read_in_little_time(header):
    # Taken apart as a whole, each of these kept the mailbox busy for minutes or hours.
    raw = header + b"\r\nFrom: eve@example.com\r\n\r\nhi"
    event = read_message(raw, len(raw))["event"]
    assert event["from"] == [{"name": "", "address": "eve@example.com"}]


def test_parts_within_parts_without_end_are_read_as_far_as_their_headers():
    part = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    raw = b"Subject: deep\r\n" + b"".join(part % (n, n) for n in range(3000))
    event = read_message(raw, len(raw))["event"]
    assert (event["subject"], event["attachments"]) == ("deep", [])


def test_large_attachments_are_named_and_not_handed_over():
    part = b"--b\r\nContent-Disposition: attachment; filename=%d\r\n\r\n%s\r\n"
    parts = b"".join(part % (n, b"x" * 200_000) for n in range(3))
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    attached = read_message(raw, len(raw))["event"]["attachments"]
    assert [each["content"] is None for each in attached] == [False, True, True]
    assert {each["size"] for each in attached} == {200_000}


def test_the_plugin_offers_mail(tls):
    assert load_plugin(codex32_mail).records[0].offers == {"trigger_types": ("mail",)}
    load_plugin(codex32_mail, {"ca_file": str(tls[1])})
    with pytest.raises(Exception, match=r"plugins\.under_test\.ca_file: there is no such file"):
        load_plugin(codex32_mail, {"ca_file": "/no/such"})
    assert isinstance(ssl.create_default_context(cafile=str(tls[1])), ssl.SSLContext)


def test_a_setting_that_is_none_is_told_with_what_is_meant():
    with pytest.raises(Exception, match=r"'cafile' is no setting \(did you mean 'ca_file'\?\)"):
        load_plugin(codex32_mail, {"cafile": "x"})
