"""Automation 7: a model drafts replies to mail, a person approves each by a link, once."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from codex32_automations import changed, model_settings, sample
from codex32_hands import Hands
from codex32_houses import Answer, House, until

from codex32_testing.model_server import ModelServer, Turn
from codex32_testing.servers.apart import apart
from codex32_testing.servers.imap import ImapServer
from codex32_testing.servers.smtp import SmtpServer

NOON = datetime(2027, 1, 4, 12, tzinfo=UTC)
PUBLIC = "https://bots.example.com"
MAIL = """\
From: Bob <bob@example.com>
To: bots@example.com
Subject: Boxes {number}
Message-ID: <{number}@example.com>
References: <first@example.com> <second@example.com>
Content-Type: text/html; charset=utf-8

<html><style>p {{ color: red }}</style><p>Where are <b>my</b> boxes,
number {number}?</p><script>steal()</script></html>
"""


def draft(path: str, body: Any) -> Turn:
    """A model that is too talkative at first."""
    text = body["messages"][1]["content"]
    repaired = len(body["messages"]) > 2
    summary = f"Bob misses boxes: {text}" if repaired else "word " * 101
    return Turn(text=json.dumps({"summary": summary, "reply": "They come on Monday."}))


class Desk:
    """The reviewer's: mail that came, and links in it."""

    def __init__(self, house: House, smtp: SmtpServer) -> None:
        self.house, self.smtp = house, smtp

    def mails(self, to: str) -> list[Any]:
        return [each.message for each in self.smtp.mails if each.recipients == (to,)]

    def link(self, number: int) -> str:
        """The address of the page that the reviewer's mail about this one leads to."""

        def look() -> str | None:
            for mail in self.mails("ann@example.com"):
                text = mail.get_content()
                found = re.search(rf"{PUBLIC}(/approvals/\S+)", text)
                if f"number {number}?" in text and found:
                    return found[1]
            return None

        return str(until(look, f"a mail about {number}"))

    def page(self, path: str, **fields: str) -> Answer:
        """Look at it, or send its form."""
        data = urlencode(fields).encode() if fields else None
        try:
            with urllib.request.urlopen(self.house.url + path, data, timeout=30) as response:
                return Answer(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def asking(self, path: str) -> str:
        """The page once the bot has asked: the mail may be quicker."""

        def look() -> str | None:
            seen = self.page(path)
            return seen.body if seen.status == 200 else None

        return str(until(look, "the page"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["up", "postgresql"])
def test_a_reply_is_drafted_approved_edited_and_sent_into_the_thread(
    build: Any, hands: Hands, model: ModelServer, kind: str
) -> None:
    model.ask(draft)
    with apart(ImapServer) as (imap, run), apart(SmtpServer) as (smtp, _):
        run(imap.deliver("Subject: old\n\nKnown already.\n"))
        settings = model_settings(model)
        settings["plugins"]["email"] = {
            "host": "127.0.0.1",
            "port": smtp.port,
            "security": "none",
            "sender": "Bots <bots@example.com>",
        }
        settings["api"] = {"public_url": PUBLIC}
        # One execution at a time: who waits must not stand in the way.
        settings["worker"] = {"concurrency": 1}
        settings["outside"] = {"private_hosts": [f"127.0.0.1:{imap.port}"]}
        hands.put_to(NOON)
        house: House = build(
            kind,
            settings,
            CODEX32_SECRET_OPENAI_API_KEY=model.key,
            CODEX32_SECRET_IMAP_PASSWORD=imap.password,
        )
        house.start()
        changes = {
            'imap.example.com:993"': f'127.0.0.1:{imap.port}"',
            "host: imap.example.com, user: bots@example.com": (
                f"host: 127.0.0.1, port: {imap.port}, security: none, user: {imap.user}"
            ),
        }
        house.add(
            "mail-reply", changed(sample("plugins/codex32-mail/bots/mail-reply.yaml"), changes)
        )
        house.add("ping", "name: ping\ntype: set\nwith: {values: {n: 1}}\n")
        run(imap.wait_until_idle())
        desk = Desk(house, smtp)
        for number in (1, 2, 3):
            run(imap.deliver(MAIL.format(number=number)))
        links = {number: desk.link(number) for number in (1, 2, 3)}
        pages = {number: desk.asking(path) for number, path in links.items()}

        assert "They come on Monday." in unescape(pages[1])
        told = desk.mails("ann@example.com")[0].get_content()
        assert "steal" not in told + pages[1]
        assert "color: red" not in told
        assert len(told.partition("\nhttps://")[0].split()) <= 100
        # Three wait, and a worker that does one thing at a time is free.
        waiting = house.executions("mail-reply")
        assert [each["status"] for each in waiting] == ["waiting"] * 3
        house.succeed(house.execute("ping"))
        assert house.cli("db", "check").returncode == 0

        codes = house.stop()
        assert set(codes.values()) == {0}
        house.start()

        edited = {"field.reply": "They are here, Bob.", "verdict": "approved", "by": "Ann"}
        assert desk.page(links[1], **edited).status == 200
        (sent,) = until(lambda: desk.mails("bob@example.com"), "the reply")
        assert sent.get_content().strip() == "They are here, Bob."
        assert (sent["Subject"], sent["In-Reply-To"]) == ("Re: Boxes 1", "<1@example.com>")
        assert sent["References"].split() == [
            "<first@example.com>",
            "<second@example.com>",
            "<1@example.com>",
        ]
        # The link works once, and says what became of it.
        again = desk.page(links[1], **{**edited, "verdict": "rejected"})
        assert (again.status, "Ann approved it" in again.body) == (409, True)

        assert desk.page(links[2], verdict="rejected").status == 200
        ended = {each["id"]: each for each in waiting}
        until(lambda: _open(house) == 1, "the rejected one has ended")

        if kind == "postgresql":  # which goes by its server's clock
            return
        # Nobody answers the third within two days: it is told, and nothing is sent.
        hands.put_to(NOON + timedelta(hours=48, minutes=1))
        until(lambda: _open(house) == 0, "the last one has ended")
        assert "Nobody answered" in desk.mails("ann@example.com")[-1].get_content()
        assert desk.page(links[3], verdict="approved").status == 409
        assert len(desk.mails("bob@example.com")) == 1
        assert len(desk.mails("ann@example.com")) == 4
        statuses = sorted(house.execution(each)["status"] for each in ended)
        assert statuses == ["skipped", "skipped", "succeeded"]
        token = links[1].rpartition("/")[2]
        assert token not in house.told()
        for each in ended:
            steps = house.get(f"/api/v1/executions/{each}/steps").body
            assert "/approvals/" not in json.dumps([steps, house.log(each)])


def _open(house: House) -> int:
    return sum(each["finished_at"] is None for each in house.executions("mail-reply"))
