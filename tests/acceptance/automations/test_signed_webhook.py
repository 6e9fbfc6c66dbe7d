"""A signed webhook is read and routed to one of four desks, and its sender is told the ticket."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from codex32_houses import UpHouse, living

KEY = b"a key of twenty-four byt"
DESK = """\
name: {name}
triggers:
  - webhook:
      path: {name}
      auth: {{scheme: standard, secret: DESK_HOOK}}
      reply: result
      reply_timeout: {patience}
    inputs: {{ticket: "${{{{ trigger.body }}}}"}}
inputs:
  ticket:
    type: object
    required: [id, text]
    properties: {{id: {{type: string}}, text: {{type: string, maxLength: 2000}}}}
allow: {{hosts: ["{place}"], secrets: [DESK_HOOK]}}
retry: {{attempts: 3, first: 100ms}}
steps:
  - id: read
    type: python
    with:
      args: {{text: "${{{{ inputs.ticket.text }}}}"}}
      code: |
        import re

        WORDS = {{
            "billing": r"invoice|refund|charge",
            "bug": r"error|crash|broken",
            "sales": r"offer|price|buy",
        }}

        def main(text):
            hits = {{name: len(re.findall(words, text.lower())) for name, words in WORDS.items()}}
            label = max(hits, key=hits.get)
            confidence = hits[label] / max(1, sum(hits.values()))
            return {{"label": label if confidence >= 0.7 else "other", "confidence": confidence}}
  - id: route
    type: http
    with:
      method: POST
      url: "http://{place}/${{{{ steps.read.output.label }}}}"
      json: {{id: "${{{{ inputs.ticket.id }}}}", text: "${{{{ inputs.ticket.text }}}}"}}
    idempotency_key: "${{{{ inputs.ticket.id }}}}"
  - id: tell
    type: notify
    with:
      to: webhook
      target: "http://{place}/chat"
      text: "${{{{ steps.route.output.body.ticket_id }}}} for ${{{{ steps.read.output.label }}}}"
output:
  ticket_id: "${{{{ steps.route.output.body.ticket_id }}}}"
  label: "${{{{ steps.read.output.label }}}}"
"""


class Desks:
    """What stands at the other end: four desks and a chat, each remembering what it was sent."""

    def __init__(self) -> None:
        self.came: Counter[tuple[str, str]] = Counter()
        self.told: list[str] = []
        self._ill = {"/bug"}
        desks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = desks.take(self.path, sent)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_address[1]}"

    def take(self, path: str, sent: Any) -> tuple[int, Any]:
        """Take what was sent; one desk is ill at first."""
        if path in self._ill:
            self._ill.discard(path)
            return 503, {}
        if path == "/chat":
            self.told.append(sent["text"])
            return 200, {}
        self.came[path, sent["id"]] += 1
        return 201, {"ticket_id": f"T-{sent['id']}"}


@pytest.fixture(scope="module")
def desks() -> Iterator[Desks]:
    desks = Desks()
    thread = threading.Thread(target=desks.server.serve_forever)
    thread.start()
    yield desks
    desks.server.shutdown()
    thread.join()
    desks.server.server_close()


@pytest.fixture(scope="module")
def house(desks: Desks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpHouse]:
    environment = {
        "CODEX32_OUTSIDE__PRIVATE_HOSTS": f'["{desks.place}"]',
        "CODEX32_SECRET_DESK_HOOK": "whsec_" + base64.b64encode(KEY).decode(),
    }
    with living(UpHouse(tmp_path_factory.mktemp("desk"), environment)) as built:
        built.start()
        for name, patience in (("desk", "30s"), ("hasty", "1ms")):
            built.add(name, DESK.format(name=name, patience=patience, place=desks.place))
        yield built


def packed(ticket: str, text: str) -> bytes:
    return json.dumps({"id": ticket, "text": text}).encode()


def signature(delivery: str, at: int, body: bytes) -> str:
    made = hmac.new(KEY, f"{delivery}.{at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def deliver(
    house: UpHouse, delivery: str, body: bytes, *, late: int = 0, path: str = "desk", **proof: str
) -> tuple[int, Any]:
    """Deliver as the sender does; ``proof`` replaces its headers, an empty one leaves it out."""
    at = int(time.time()) - late
    headers = {
        "content-type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(delivery, at, body),
        **{f"webhook-{name}": value for name, value in proof.items()},
    }
    sent = {name: value for name, value in headers.items() if value}
    request = urllib.request.Request(f"{house.url}/hooks/default/{path}", body, sent)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("ticket", "text", "label"),
    [
        ("b1", "The invoice is wrong, I want a refund", "billing"),
        ("b2", "It is broken: error 7 at every start", "bug"),
        ("b3", "I would like to buy ten; what is your price?", "sales"),
        ("b4", "The price on my invoice shows an error", "other"),
    ],
)
def test_each_ticket_goes_to_its_desk(
    house: UpHouse, desks: Desks, ticket: str, text: str, label: str
) -> None:
    answer = deliver(house, f"msg_{ticket}", packed(ticket, text))
    assert answer == (200, {"ticket_id": f"T-{ticket}", "label": label})
    assert [place for place, each in desks.came if each == ticket] == [f"/{label}"]
    assert desks.told.count(f"T-{ticket} for {label}") == 1


def test_what_is_not_signed_as_it_should_starts_nothing(house: UpHouse, desks: Desks) -> None:
    before = len(house.executions("desk"))
    body, at = packed("f1", "a refund"), int(time.time())
    proof = signature("msg_f1", at, body)
    refused = [
        deliver(house, "msg_f1", body.replace(b": ", b":"), timestamp=str(at), signature=proof),
        deliver(house, "msg_f2", body, timestamp=str(at), signature=proof),
        deliver(house, "msg_f1", body, late=301),
        deliver(house, "msg_f1", body, late=-301),
        deliver(house, "msg_f1", body, signature="v1,AAAA"),
        *(
            deliver(house, "msg_f1", body, **{name: ""})
            for name in ("id", "timestamp", "signature")
        ),
    ]
    assert {(status, told["code"]) for status, told in refused} == {(401, "delivery-refused")}
    assert len(house.executions("desk")) == before
    unfit = deliver(house, "msg_f3", b'{"id": "f1", "text": 7}')
    assert (unfit[0], unfit[1]["code"]) == (422, "delivery-invalid")
    assert not any(ticket == "f1" for _, ticket in desks.came)


def test_fifty_at_once_and_one_later_are_one_ticket(house: UpHouse, desks: Desks) -> None:
    before = len(house.executions("desk"))
    body = packed("d1", "the charge is wrong")
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: deliver(house, "msg_d1", body), range(50)))
    answers.append(deliver(house, "msg_d1", body))
    assert answers == [(200, {"ticket_id": "T-d1", "label": "billing"})] * 51
    assert desks.came["/billing", "d1"] == 1
    assert desks.told.count("T-d1 for billing") == 1
    assert len(house.executions("desk")) == before + 1


def test_who_does_not_wait_is_told_the_execution(house: UpHouse, desks: Desks) -> None:
    body = packed("h1", "please send an offer")
    status, told = deliver(house, "msg_h1", body, path="hasty")
    assert (status, told["decision"]) == (202, "fired")
    assert house.succeed(told["execution"])["output"] == {"ticket_id": "T-h1", "label": "sales"}
    again = deliver(house, "msg_h1", body, path="hasty")
    assert again[1] in (
        {**told, "decision": "deduplicated"},
        {"ticket_id": "T-h1", "label": "sales"},
    )
    assert desks.came["/sales", "h1"] == 1
