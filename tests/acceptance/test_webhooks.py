"""Webhooks of the how-to, sent as GitHub, Stripe and Slack send them, to a running house."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from codex32_houses import House, until

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "receive-webhooks.md"
BOTS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SECRETS = {"GITHUB_WEBHOOK": "gh-secret", "STRIPE_WEBHOOK": "whsec_st", "SLACK_SIGNING": "sl"}


@dataclass(frozen=True)
class Told:
    """What the sender was answered."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@pytest.fixture
def serving(house: House) -> House:
    """The house with the bots of the page and their secrets."""
    for name, value in SECRETS.items():
        path = house.folder / f"{name}.txt"
        path.write_text(value + "\n", encoding="utf-8")
        done = house.cli("secrets", "set", name, "--file", str(path))
        assert done.returncode == 0, done.stderr
    for text in BOTS:
        name = text.partition("\n")[0].removeprefix("name: ")
        if house.bot(name) is None:
            house.add(name, text)
    return house


@pytest.fixture
def send(serving: House) -> Callable[..., Told]:
    def sent(path: str, body: bytes, **headers: str) -> Told:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{serving.url}/hooks/default/{path}"
        request = urllib.request.Request(url, body, named, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Told(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Told(error.code, error.read().decode())

    return sent


def mac(secret: str, text: bytes) -> str:
    return hmac.new(SECRETS[secret].encode(), text, hashlib.sha256).hexdigest()


def test_github_tells_of_a_release(serving: House, send: Callable[..., Told]) -> None:
    body = json.dumps({"action": "published", "release": {"tag_name": "v1.2"}}).encode()
    named = {
        "Content_Type": "application/json",
        "X_GitHub_Event": "release",
        "X_GitHub_Delivery": f"d-{time.time_ns()}",
        "X_Hub_Signature_256": f"sha256={mac('GITHUB_WEBHOOK', body)}",
    }
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: send("releases", body, **named), range(50)))
    assert sorted(each.status for each in answers) == [200] * 49 + [202]
    (execution,) = {each.json["execution"] for each in answers}
    assert serving.succeed(execution)["inputs"] == {"tag": "v1.2"}

    pinged = send("releases", b"{}", **{**named, "X_GitHub_Event": "ping"})
    assert pinged.status == 401  # another body, and the old signature
    named |= {"X_GitHub_Delivery": "ping-1", "X_GitHub_Event": "ping"}
    named["X_Hub_Signature_256"] = f"sha256={mac('GITHUB_WEBHOOK', b'{}')}"
    assert send("releases", b"{}", **named).json["decision"] == "no-match"


def test_stripe_tells_of_a_payment(serving: House, send: Callable[..., Told]) -> None:
    event = {"id": f"evt_{time.time_ns()}", "type": "payment_intent.succeeded"}
    body = json.dumps({**event, "data": {"object": {"amount": 1999}}}).encode()
    now = int(time.time())

    def signed(at: int) -> str:
        return f"t={at},v1={mac('STRIPE_WEBHOOK', f'{at}.'.encode() + body)}"

    def sent(at: int) -> Told:
        return send("stripe", body, Content_Type="application/json", Stripe_Signature=signed(at))

    assert sent(now - 301).status == 401
    before = len(serving.executions("payments"))
    assert [sent(now).status, sent(now).status] == [204, 204]
    made = serving.executions("payments")
    assert len(made) == before + 1
    assert serving.succeed(made[0]["id"])["inputs"] == {"cents": 1999}


def test_slack_shows_what_its_command_is_answered(send: Callable[..., Told]) -> None:
    def sent(body: bytes, kind: str) -> Told:
        now = int(time.time())
        signature = f"v0={mac('SLACK_SIGNING', f'v0:{now}:'.encode() + body)}"
        return send(
            "slack",
            body,
            Content_Type=kind,
            X_Slack_Request_Timestamp=str(now),
            X_Slack_Signature=signature,
        )

    asked = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()
    assert sent(asked, "application/json") == Told(200, "abc")

    def command() -> Told | None:
        body = f"command=%2Fecho&text=hello+there&n={time.time_ns()}".encode()
        told = sent(body, "application/x-www-form-urlencoded")
        return told if told.status == 200 else None  # 202 from a house that is busy

    assert until(command, "an answer in time") == Told(200, "You said: hello there")


def test_the_command_line_shows_webhooks_and_tries_them(serving: House) -> None:
    found = {each["bot"]: each for each in serving.ask("hooks", "list")["hooks"]}
    assert found["releases"]["url"] == f"{serving.url}/hooks/default/releases"
    assert (found["releases"]["scheme"], found["releases"]["status"]) == ("github", "served")
    assert found["slack-echo"]["missing_secrets"] == []

    event = serving.folder / "release.json"
    release = {"tag_name": f"v{time.time_ns()}"}
    event.write_text(json.dumps({"action": "published", "release": release}), encoding="utf-8")
    command = ("hooks", "test", "releases", "--data", str(event))
    tried = serving.ask(
        *command, "--header", "X-GitHub-Event: release", "--id", release["tag_name"]
    )
    assert (tried["status"], tried["body"]["decision"]) == (202, "fired")
    unnamed = serving.ask(*command)
    assert (unnamed["status"], unnamed["body"]["code"]) == (422, "delivery-invalid")
    why = serving.ask("why", "releases")
    assert why["occurrences"][0]["decision"] == "invalid"
    assert "x-github-event" in why["occurrences"][0]["detail"]
    assert any("waits for POST to /hooks/default/releases" in each for each in why["reasons"])

    gone = serving.cli("hooks", "test", "nobody")
    assert gone.returncode == 3
