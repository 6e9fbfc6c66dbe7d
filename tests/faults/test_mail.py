"""kill -9 of workers that send mail: at most one goes out, and none is missing in silence."""

from __future__ import annotations

import signal

import pytest
import yaml
from codex32_houses import ServersHouse, until

from codex32_testing.servers.apart import apart
from codex32_testing.servers.smtp import SmtpServer

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

WRITES = """\
inputs: {to: {type: string}}
steps:
  - id: tell
    type: notify
    with: {to: email, target: "${{ inputs.to }}", text: It rains}
  - {id: after, type: set, with: {values: {tell: "${{ steps.tell.status }}"}}}
"""
#: Where a worker dies, and how many mails have gone out by then.
POINTS = {"step.before_mail": ("effect.after_entry", 0), "step.after_mail": ("step.after_try", 1)}


@pytest.fixture
def smtp():
    with apart(SmtpServer) as (server, _):
        yield server


@pytest.fixture
def house(servers: ServersHouse, smtp: SmtpServer, short: dict[str, str]) -> ServersHouse:
    email = {"host": "127.0.0.1", "port": smtp.port, "security": "none", "sender": "b@example.com"}
    settings = {"plugins": {"email": email}}
    (servers.folder / "codex32.yaml").write_text(yaml.safe_dump(settings))
    servers.environment.update(short)
    servers.workers = 0
    servers.start()
    servers.add("writes", WRITES)
    return servers


def count(smtp: SmtpServer, to: str) -> int:
    return sum(each.recipients == (to,) for each in smtp.mails)


def test_at_most_one_mail_goes_out_and_whoever_cannot_tell_asks(
    house: ServersHouse, smtp: SmtpServer
) -> None:
    made = {}
    for name, (point, sent) in POINTS.items():
        made[f"{name}@example.com"] = house.execute("writes", to=f"{name}@example.com"), sent
        house.launch("doomed", "worker", "--processes", "1", CODEX32_FAULT_POINTS=f"{point}=kill")
        assert house.processes.pop("doomed").wait(60) == -signal.SIGKILL, name
        assert count(smtp, f"{name}@example.com") == sent

    # The mail is taken, and the worker dies before it hears of it.
    smtp.silent_at.add("END")
    made["silent@example.com"] = house.execute("writes", to="silent@example.com"), 1
    house.hire(1)
    until(lambda: count(smtp, "silent@example.com"), "the mail was taken")
    (worker,) = [name for name in house.processes if name.startswith("worker")]
    house.end(worker, signal.SIGKILL)
    smtp.silent_at.clear()

    house.hire(1)
    for to, (execution, sent) in made.items():
        until(
            lambda each=execution: "unknown" in house.execution(each)["message"],  # type: ignore[misc]
            f"{to} waits for a decision",
            seconds=60,
        )
        assert house.execution(execution)["status"] == "waiting"
        assert count(smtp, to) == sent
        said = "--sent" if sent else "--not-sent"
        done = house.cli("executions", "resolve", execution, said)
        assert done.returncode == 0, done.stderr
        house.succeed(execution, seconds=60)
        assert count(smtp, to) == 1
