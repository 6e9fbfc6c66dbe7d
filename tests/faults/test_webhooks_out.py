"""Schedulers that die while they send webhooks, or are two: everything arrives, under one id."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from codex32_houses import ServersHouse, until

pytestmark = pytest.mark.fault


class Receiver:
    """Counts by their ids the messages that it is sent."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                came[self.headers["webhook-id"]] += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def test_webhooks_outlive_the_schedulers_that_send_them(
    servers: ServersHouse, receiver: Receiver
) -> None:
    servers.environment["CODEX32_OUTSIDE__PRIVATE_HOSTS"] = f'["{receiver.place}"]'
    servers.environment["CODEX32_WEBHOOKS__TIMEOUT_SECONDS"] = "1"
    servers.serve()
    wish = {"url": f"http://{receiver.place}/", "events": ["custom.*"]}
    webhook = servers.post("/api/v1/webhooks", wish).body["id"]
    for n in range(20):
        assert servers.post("/api/v1/events", {"name": "custom.n", "data": n}).status == 202

    # One dies while it hands out the events, one between sending and noting that it sent.
    for name, point in (("first", "events.before_commit"), ("second", "webhook.before_record")):
        servers.launch(name, "scheduler", CODEX32_FAULT_POINTS=f"{point}=kill")
        assert servers.processes.pop(name).wait(60) == -9
    assert receiver.came
    servers.launch("scheduler", "scheduler")
    servers.launch("second scheduler", "scheduler")

    def delivered() -> bool:
        shown = servers.get(f"/api/v1/webhooks/{webhook}").body
        return bool(shown["delivered"] == 20)

    until(delivered, "20 deliveries", seconds=60.0, every=0.5)
    assert len(receiver.came) == 20
    # Only what was under way when its scheduler died came again.
    assert sum(receiver.came.values()) <= 24
    listed = servers.get(f"/api/v1/webhooks/{webhook}/deliveries?limit=100").body["items"]
    assert {each["id"] for each in listed} == set(receiver.came)
    again = [each for each in listed if each["tries"] == 2]
    assert again
    attempts = servers.get(f"/api/v1/webhooks/{webhook}/deliveries/{again[0]['id']}").body
    assert [each["outcome"] for each in attempts["attempts"]] == ["unknown", "delivered"]
