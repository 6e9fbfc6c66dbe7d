"""APIs that die over a delivery: the sender tries again, and one execution comes of it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from codex32_houses import SECRET, ServersHouse

pytestmark = pytest.mark.fault

INTAKE = """\
triggers:
  - webhook: {path: intake, auth: {scheme: github, secret: API_KEY}}
    inputs: {n: "${{ trigger.body.n }}"}
inputs: {n: {type: integer}}
allow: {secrets: [API_KEY]}
type: set
with: {values: {n: "${{ inputs.n }}"}}
"""


def deliver(house: ServersHouse, n: int) -> Any:
    """What the sender is told; None where the line breaks."""
    body = json.dumps({"n": n}).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Delivery": f"d-{n}",
        "X-Hub-Signature-256": f"sha256={digest}",
    }
    connection = http.client.HTTPConnection(urlsplit(house.url).netloc, timeout=30)
    try:
        connection.request("POST", "/hooks/default/intake", body, headers)
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.mark.parametrize("point", ["webhooks.before_commit", "webhooks.before_answer"])
def test_what_is_sent_again_after_a_death_is_one_execution(
    servers: ServersHouse, point: str
) -> None:
    servers.start()
    servers.add("intake", INTAKE)
    assert deliver(servers, 0)["decision"] == "fired"

    for n in range(1, 3):
        servers.serve(f"doomed {n}", CODEX32_FAULT_POINTS=f"{point}=kill")
        assert deliver(servers, n) is None
        assert servers.processes.pop(f"doomed {n}").wait(60) == -9
    servers.serve("another")
    answers = [deliver(servers, n) for n in range(3) for _ in range(2)]

    ids = [answer["execution"] for answer in answers]
    assert ids[::2] == ids[1::2]
    assert len(set(ids)) == 3
    first = "fired" if point == "webhooks.before_commit" else "deduplicated"
    assert [answer["decision"] for answer in answers[2::2]] == [first] * 2
    made = servers.executions("intake")
    assert {each["id"] for each in made} == set(ids)
    for n, execution in enumerate(ids[::2]):
        assert servers.succeed(execution)["output"] == {"n": n}
