"""Automation 2: a signed webhook is read by a model and handed to one of four desks.

Its sender is told the ticket, or where to ask for it; what is not signed starts nothing, and what
comes again is the first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from codex32_automations import changed, housed, model_settings, sample
from codex32_houses import House
from codex32_serving import QuietHandler, serving

from codex32_testing.model_server import ModelServer, Turn

KEY = b"a key of twenty-four byt"
#: What the model is sure of, by a word of the ticket.
SURE = {"refund": ("billing", 0.9), "crash": ("bug", 0.7), "buy": ("sales", 1)}
PATHS = {"billing": "billing", "bug": "bugs", "sales": "sales", "other": "everything-else"}


def read(path: str, body: Any) -> Turn:
    """A model that reads tickets; what it is not sure of it guesses."""
    text = body["messages"][-1]["content"]
    found = [said for word, said in SURE.items() if word in text]
    label, confidence = found[0] if len(found) == 1 else ("sales", 0.69)
    return Turn(text=json.dumps({"label": label, "confidence": confidence}))


class Desks:
    """What stands at the other end: four desks, each remembering what it was sent."""

    def __init__(self) -> None:
        self.came: Counter[tuple[str, str]] = Counter()
        self._ill = {"/hooks/bugs"}
        desks = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                self.answer(*desks.take(self.path, self.sent()))

        self.handler = Handler
        self.place = ""

    def take(self, path: str, sent: Any) -> tuple[int, Any]:
        """Take what was sent; one desk is ill at first."""
        if path in self._ill:
            self._ill.discard(path)
            return 503, {}
        self.came[path, sent["id"]] += 1
        return 201, {"ticket_id": f"T-{sent['id']}"}


@pytest.fixture(scope="module")
def desks() -> Iterator[Desks]:
    desks = Desks()
    with serving(desks.handler) as url:
        desks.place = url.removeprefix("http://")
        yield desks


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module", params=["up", "postgresql"])
def house(
    request: pytest.FixtureRequest,
    desks: Desks,
    model: ModelServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("desk")
    settings = {**model_settings(model), "outside": {"private_hosts": [desks.place]}}
    (folder / "codex32.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    environment = {
        "CODEX32_SECRET_TICKETS_HOOK": "whsec_" + base64.b64encode(KEY).decode(),
        "CODEX32_SECRET_OPENAI_API_KEY": model.key,
    }
    with housed(request.param, folder, environment, request) as built:
        built.start()
        for name, patience in (("desk", "30s"), ("hasty", "1ms")):
            changes = {
                "name: sort-tickets": f"name: {name}",
                "path: tickets": f"path: {name}",
                "reply_timeout: 10s": f"reply_timeout: {patience}",
                "127.0.0.1:8765": desks.place,
                "echo:echo": "openai:gpt-5-mini",
            }
            built.add(name, changed(sample("bots/sort-tickets.yaml"), changes))
        yield built


@pytest.fixture(autouse=True)
def _afresh(desks: Desks, model: ModelServer) -> None:
    desks.came.clear()
    model.reset()
    model.ask(read)


def packed(ticket: str, text: str) -> bytes:
    return json.dumps({"id": ticket, "text": text}).encode()


def signature(delivery: str, at: int, body: bytes) -> str:
    made = hmac.new(KEY, f"{delivery}.{at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def deliver(
    house: House, delivery: str, body: bytes, *, late: int = 0, path: str = "desk", **proof: str
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
        ("b2", "It will crash at every start", "bug"),
        ("b3", "I would like to buy ten", "sales"),
        ("b4", "What a lovely day", "other"),
    ],
)
def test_each_ticket_goes_to_its_desk(
    house: House, desks: Desks, ticket: str, text: str, label: str
) -> None:
    answer = deliver(house, f"msg_{ticket}", packed(ticket, text))
    assert answer == (200, {"ticket_id": f"T-{ticket}", "label": label})
    places = [place for place, each in desks.came if each == ticket]
    assert places == [f"/hooks/{PATHS[label]}"]


def test_what_is_not_signed_as_it_should_starts_nothing(house: House, desks: Desks) -> None:
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


def test_fifty_at_once_and_one_later_are_one_ticket(
    house: House, desks: Desks, model: ModelServer
) -> None:
    before = len(house.executions("desk"))
    body = packed("d1", "a refund, please")
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: deliver(house, "msg_d1", body), range(50)))
    answers.append(deliver(house, "msg_d1", body))
    assert answers == [(200, {"ticket_id": "T-d1", "label": "billing"})] * 51
    assert desks.came["/hooks/billing", "d1"] == 1
    asked = [each for each in model.asked if "a refund, please" in json.dumps(each.body)]
    assert len(asked) == 1
    assert len(house.executions("desk")) == before + 1


def test_who_does_not_wait_is_told_the_execution(house: House, desks: Desks) -> None:
    body = packed("h1", "we want to buy")
    status, told = deliver(house, "msg_h1", body, path="hasty")
    assert (status, told["decision"]) == (202, "fired")
    assert house.succeed(told["execution"])["output"] == {"ticket_id": "T-h1", "label": "sales"}
    again = deliver(house, "msg_h1", body, path="hasty")
    assert again[1] in (
        {**told, "decision": "deduplicated"},
        {"ticket_id": "T-h1", "label": "sales"},
    )
    assert desks.came["/hooks/sales", "h1"] == 1
