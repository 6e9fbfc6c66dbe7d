"""kill -9 of schedulers that watch a mailbox: each message is answered, and once."""

from __future__ import annotations

import signal
from collections import Counter

import pytest
import yaml
from codex32_houses import ServersHouse, until

from codex32_testing.servers.apart import apart
from codex32_testing.servers.imap import ImapServer
from codex32_testing.servers.smtp import SmtpServer

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

ANSWERS = """\
triggers:
  - mail: {{host: 127.0.0.1, port: {port}, security: none, user: {user}, password: IMAP}}
    inputs: {{sender: "${{{{ trigger.event.from[0].address }}}}"}}
inputs: {{sender: {{type: string}}}}
allow: {{hosts: ["127.0.0.1:{port}"], secrets: [IMAP]}}
steps:
  - id: tell
    type: notify
    with: {{to: email, target: "${{{{ inputs.sender }}}}", text: Thank you}}
"""
MAIL = "From: {sender}\nTo: bots@example.com\nSubject: Boxes\n\nWhere are my boxes?\n"


@pytest.fixture
def imap():
    with apart(ImapServer) as (server, run):
        yield server, run


@pytest.fixture
def smtp():
    with apart(SmtpServer) as (server, _):
        yield server


@pytest.fixture
def house(servers: ServersHouse, imap, smtp, short: dict[str, str]) -> ServersHouse:
    box, run = imap
    email = {"host": "127.0.0.1", "port": smtp.port, "security": "none", "sender": "b@example.com"}
    settings = {
        "plugins": {"email": email},
        "outside": {"private_hosts": [f"127.0.0.1:{box.port}"]},
    }
    (servers.folder / "codex32.yaml").write_text(yaml.safe_dump(settings))
    servers.environment.update(short, CODEX32_SECRET_IMAP=box.password)
    servers.workers = 1
    servers.start()
    servers.add("answers", ANSWERS.format(port=box.port, user=box.user))
    run(box.wait_until_idle())
    return servers


def test_each_message_is_answered_once_whenever_those_who_watch_die(
    house: ServersHouse, imap, smtp: SmtpServer
) -> None:
    box, run = imap
    senders: list[str] = []

    def deliver() -> None:
        senders.append(f"sender-{len(senders)}@example.com")
        run(box.deliver(MAIL.format(sender=senders[-1])))

    def answered() -> Counter[str]:
        return Counter(each.recipients[0] for each in smtp.mails)

    # What comes while nobody watches is found afterwards; whoever finds it dies on the way.
    house.end("scheduler", signal.SIGKILL)
    deliver()
    deliver()
    for point, begun in (("sources.before_commit", 0), ("sources.committed", 1)):
        house.launch("doomed", "scheduler", CODEX32_FAULT_POINTS=f"{point}=kill")
        assert house.processes.pop("doomed").wait(120) == -signal.SIGKILL, point
        assert len(house.executions("answers")) == begun, point

    # Two watch at once, and one of them dies while messages come in.
    house.launch("first", "scheduler")
    house.launch("second", "scheduler")
    until(lambda: answered().keys() >= set(senders), "the first are answered", seconds=120)
    for _ in range(4):
        deliver()
    house.end("first", signal.SIGKILL)
    deliver()
    until(lambda: answered().keys() >= set(senders), "all are answered", seconds=120)

    # Whoever comes next begins where the last one was: the new one is answered, and no other.
    house.end("second", signal.SIGKILL)
    house.launch("third", "scheduler")
    deliver()
    until(lambda: answered().keys() >= set(senders), "the last one is answered", seconds=120)
    assert answered() == Counter(senders)
    assert len(house.executions("answers")) == len(senders)
