from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

import codex32_email
from codex32 import (
    EffectUnknown,
    ManualClock,
    Notification,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)
from codex32.services.access.mailing import Mailer
from codex32.services.access.one_time import Code
from codex32_email.message import compose
from codex32_email.notifier import Email
from codex32_email.server import MailServer
from codex32_testing.conformance import NotifierSuite
from codex32_testing.http import FakeHttp
from codex32_testing.loading import load_plugin
from codex32_testing.servers.certificates import server_context
from codex32_testing.servers.smtp import SmtpServer

NOTE = Notification("it rains", title="Weather", idempotency_key="k-1")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return server_context(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def smtp(tls):
    async with SmtpServer(tls=tls[0], user="bots", password="S3CRET") as server:
        yield server


@pytest.fixture
def email(smtp, tls):
    def email(**changed):
        config = {
            "host": "127.0.0.1",
            "port": smtp.port,
            "user": "bots",
            "password": "S3CRET",
            "sender": "Böts <bots@example.com>",
            "ca_file": str(tls[1]),
            **changed,
        }
        return Email(MailServer.of(config), ManualClock(NOW))

    return email


@pytest.fixture
def send(email):
    async def send(note=NOTE, target="ann@example.com", timeout_seconds=5, **config):
        http = FakeHttp()
        return await email(**config).send(note, target, http=http, timeout_seconds=timeout_seconds)

    return send


class TestEmail(NotifierSuite):
    speaks_http = False

    @pytest.fixture
    def notifier(self, email):
        return email()

    @pytest.fixture
    def target(self):
        return "ann@example.com"


async def test_mail_goes_over_tls_as_the_user_with_text_and_html(smtp, send):
    html = Notification("it rains", title="Weather", html="<p>it rains</p>", idempotency_key="k")
    receipt = await send(html, "ann@example.com, bob@example.com")
    (mail,) = smtp.mails
    assert (mail.secure, mail.user, mail.sender) == (True, "bots", "bots@example.com")
    assert mail.recipients == ("ann@example.com", "bob@example.com")
    message = mail.message
    assert message["From"] == "Böts <bots@example.com>"
    assert message["Subject"] == "Weather"
    assert message["Message-ID"] == receipt.id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Sun, 01 Mar 2026 12:00:00 +0000"
    assert message.get_body(("plain",)).get_content().strip() == "it rains"
    assert message.get_body(("html",)).get_content().strip() == "<p>it rains</p>"


async def test_copies_are_seen_by_all_and_blind_ones_by_none(smtp, send):
    copies = "cc: bob@example.com, Bcc:eve@example.com,cc:ann@example.com"
    await send(target=f"ann@example.com, {copies}")
    (mail,) = smtp.mails
    assert mail.recipients == ("ann@example.com", "bob@example.com", "eve@example.com")
    assert mail.message["To"] == "ann@example.com"
    assert mail.message["Cc"] == "bob@example.com, ann@example.com"
    assert "eve" not in mail.message.as_string()
    await send(target="bcc: eve@example.com")
    assert smtp.mails[-1].message["To"] is None
    with pytest.raises(ProviderRejected, match="does not let bots write"):
        await send(target="ann@example.com, bcc: eve@evil.example", recipients=["*@example.com"])
    for unsound in ("bcc:", "to: ann@example.com", "cc: bcc: ann@example.com"):
        with pytest.raises(ProviderRejected, match="must be addresses"):
            await send(target=unsound)


async def test_tries_of_one_notification_share_their_id_and_replies_refer_to_it(smtp, send):
    first, again = await send(), await send()
    assert first.id == again.id
    await send(Notification("still", reply_to=first.id, idempotency_key="k-2"))
    message = smtp.mails[-1].message
    assert message["In-Reply-To"] == message["References"] == first.id
    assert message["Auto-Submitted"] == "auto-replied"
    with pytest.raises(ProviderRejected, match="no id of a message"):
        await send(Notification("x", reply_to="<a@b>\r\nBcc: eve@example.com"))


async def test_what_comes_from_outside_begins_no_header_of_its_own(smtp, send):
    evil = "Hi\r\nBcc: eve@example.com\r\n\r\nbody"
    await send(Notification(".\r\nQUIT\r\n.\r\n", title=evil))
    (mail,) = smtp.mails
    assert mail.message["Subject"] == "Hi Bcc: eve@example.com body"
    assert mail.message["Bcc"] is None
    assert mail.recipients == ("ann@example.com",)
    assert mail.message.get_content().splitlines()[:3] == [".", "QUIT", "."]


@pytest.mark.parametrize(
    "target",
    [
        "",
        "ann",
        "ann@example.com bob@example.com",
        "Ann <ann@example.com>",
        "a@b\r\nRCPT TO:<c@d>",
    ],
    ids=range(5),
)
async def test_a_target_that_is_no_address_is_refused_before_anything_is_sent(smtp, send, target):
    with pytest.raises(ProviderRejected, match="must be addresses"):
        await send(target=target)
    assert smtp.mails == []


async def test_bots_write_to_whom_the_operator_permits(smtp, send):
    permitted = ["*@example.com", "boss@example.org"]
    await send(target="Ann@Example.com, boss@example.org", recipients=permitted)
    with pytest.raises(ProviderRejected, match="does not let bots write") as caught:
        await send(target="ann@example.com,eve@evil.example", recipients=permitted)
    assert "evil" not in str(caught.value)
    assert len(smtp.mails) == 1


async def test_tls_is_insisted_on(send, smtp, tls):
    async with SmtpServer() as plain:
        with pytest.raises(ProviderRejected, match="does not offer"):
            await send(port=plain.port, user="", password="")
    async with SmtpServer(tls=tls[0], implicit=True) as wrapped:
        await send(port=wrapped.port, security="tls", user="", password="")
        assert wrapped.mails[0].secure


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(send, smtp):
    with pytest.raises(ProviderRejected, match=r"cannot be trusted: [a-z]"):
        await send(ca_file=None)
    assert smtp.mails == []


async def test_a_wrong_password_is_told_and_not_shown(send):
    with pytest.raises(ProviderUnauthorized) as caught:
        await send(password="WRONG")
    assert "WRONG" not in str(caught.value)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [("451 4.7.1 try later ann@x", ProviderUnavailable), ("550 no ann@x", ProviderRejected)],
    ids=["later", "never"],
)
async def test_the_servers_number_says_whether_trying_again_can_help(
    smtp, send, verb, reply, kind
):
    smtp.replies[verb] = [reply]
    with pytest.raises(kind) as caught:
        await send()
    assert "ann@x" not in str(caught.value)
    assert smtp.mails == []
    await send()
    assert len(smtp.mails) == 1


async def test_a_server_that_takes_seven_bits_alone_is_handed_no_more(smtp, send):
    await send(Notification("übermorgen", title="Über", html="<p>ü</p>"))
    (mail,) = smtp.mails
    assert mail.raw.isascii()
    assert mail.message.get_body(("plain",)).get_content().strip() == "übermorgen"


async def test_files_are_attached_as_a_mail_trigger_hands_them_over(smtp, send):
    files = [
        {"name": "a/ü\r\nX: y.csv", "type": "text/csv", "content": "YSxiCg==", "size": 4},
        {"name": "b", "type": "message/rfc822\r\nX: y", "content": "AAE="},
    ]
    note = Notification("two", html="<p>two</p>", data={"email": {"attachments": files}})
    await send(note)
    (mail,) = smtp.mails
    first, second = mail.message.iter_attachments()
    assert (first.get_filename(), first.get_content()) == ("a_ü X: y.csv", "a,b\n")
    assert (second.get_content_type(), second.get_content()) == (
        "application/octet-stream",
        b"\x00\x01",
    )
    assert mail.message.get_body(("html",)).get_content().strip() == "<p>two</p>"


@pytest.mark.parametrize("given", [{"name": "big", "content": None}, {"name": "big"}, "big", 3])
async def test_a_file_without_content_is_told_and_nothing_is_sent(smtp, send, given):
    with pytest.raises(ProviderRejected, match="has no content in base 64"):
        await send(Notification("x", data={"email": {"attachments": [given]}}))
    assert smtp.mails == []


async def test_a_domain_of_any_letters_is_written_to_and_what_cannot_be_is_told(smtp, send):
    await send(target="ann@bücher.example")
    (mail,) = smtp.mails
    assert mail.recipients == ("ann@xn--bcher-kva.example",)
    assert mail.message["To"] == "ann@xn--bcher-kva.example"
    for target in ("jörg@example.com", f"ann@{'ü' * 70}.example"):
        with pytest.raises(ProviderRejected, match="letters before the @"):
            await send(target=target)


async def test_if_one_recipient_is_refused_nobody_is_written_to(smtp, send):
    smtp.replies["RCPT"] = ["250 ok", "550 5.1.1 gone@example.com unknown"]
    with pytest.raises(ProviderRejected, match=r"refused recipient 2 of 2 \(550 5\.1\.1\)"):
        await send(target="ann@example.com, gone@example.com")
    assert smtp.mails == []


@pytest.mark.parametrize("verb", ["HELLO", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT"])
async def test_a_cut_before_the_mail_is_handed_over_is_worth_another_try(smtp, send, verb):
    smtp.cut_at.add(verb)
    with pytest.raises(ProviderUnavailable):
        await send()
    smtp.cut_at.clear()
    await send()
    assert len(smtp.mails) == 1


@pytest.mark.parametrize("takes", [True, False], ids=["taken", "lost"])
@pytest.mark.parametrize("how", ["cut_at", "silent_at"])
async def test_a_cut_at_the_end_of_the_mail_leaves_the_effect_unknown(smtp, send, how, takes):
    getattr(smtp, how).add("END")
    smtp.takes = takes
    with pytest.raises(EffectUnknown):
        await send(timeout_seconds=0.5)
    assert len(smtp.mails) == takes


async def test_a_server_that_says_nothing_does_not_hold_the_step(smtp, send):
    smtp.silent_at.add("HELLO")
    with pytest.raises(ProviderUnavailable, match="in time"):
        await send(timeout_seconds=0.3)


async def test_how_the_server_says_goodbye_does_not_matter(smtp, send):
    smtp.cut_at.add("QUIT")
    await send()
    assert len(smtp.mails) == 1


async def test_nobody_at_the_address_is_worth_another_try(send, unused_tcp_port):
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await send(port=unused_tcp_port)


async def test_codes_for_a_new_password_are_mailed(smtp, email):
    account = SimpleNamespace(username="ann", email="ann@example.com")
    code = Code("mail", text="once_S3CRET")
    await Mailer(email(), FakeHttp()).send(account, code)
    (mail,) = smtp.mails
    assert mail.recipients == ("ann@example.com",)
    assert "codex32 login --code once_S3CRET" in mail.message.get_content()
    assert "once_S3CRET" not in mail.message["Subject"] + mail.message["Message-ID"]


GOOD = {"host": "mail.example.com", "sender": "bots@example.com"}


def test_the_plugin_offers_email_where_the_settings_name_a_server(tmp_path):
    assert load_plugin(codex32_email).records[0].offers.get("notifiers", ()) == ()
    (tmp_path / "password").write_text("S3CRET\n")
    config = {**GOOD, "user": "bots", "password_file": str(tmp_path / "password")}
    assert load_plugin(codex32_email, config).records[0].offers == {"notifiers": ("email",)}
    assert MailServer.of(config).password == "S3CRET"
    assert "S3CRET" not in repr(MailServer.of(config))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"sender": "a@b"}, "host: names no mail server"),
        ({**GOOD, "hots": 1}, "hots: 'hots' is no setting .did you mean 'host'"),
        ({**GOOD, "sender": "bots"}, "sender: must be the address"),
        ({**GOOD, "port": "x"}, "port: 'x' is no port"),
        ({**GOOD, "security": "ssl"}, "security: 'ssl' is none of"),
        ({**GOOD, "user": "bots"}, "user: user and password go together"),
        ({**GOOD, "recipients": "*"}, "recipients: must be a list"),
        ({**GOOD, "ca_file": "/no/such"}, "ca_file: there is no such file"),
        (
            {**GOOD, "security": "none", "user": "a", "password": "b"},
            "security: a password would cross the network readable",
        ),
    ],
    ids=range(9),
)
def test_settings_that_cannot_work_are_named_with_their_place(config, told):
    with pytest.raises(Exception, match=f"plugins.under_test.{told}"):
        load_plugin(codex32_email, config)


@pytest.mark.parametrize(
    ("before", "named"),
    [
        (["<1@x>", "<2@x>"], ["<1@x>", "<2@x>", "<3@x>"]),
        # What came from outside and is no id, or is there already, is left out.
        (["<1@x>", "no id", 7, "<e@x>\r\nBcc: eve@example.com", "<3@x>"], ["<1@x>", "<3@x>"]),
        (
            [f"<{n}@x>" for n in range(99)],
            ["<0@x>", *(f"<{n}@x>" for n in range(80, 99)), "<3@x>"],
        ),
        ("<1@x>", ["<3@x>"]),
    ],
    ids=["thread", "junk", "long", "text"],
)
def test_a_reply_names_the_whole_thread(before, named):
    note = Notification("x", reply_to="<3@x>", data={"email": {"references": before}})
    message = compose(note, ["a@x.example"], sender="b@x.example", domain="x", now=NOW)
    assert message["References"].split() == named
    assert message["Bcc"] is None
