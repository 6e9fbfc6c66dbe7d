"""What workers do is told live by the process of the API, which they do not speak to."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from codex32_houses import House, until

TALKS = """\
steps:
  - id: talk
    type: python
    with:
      code: |
        import time

        def main():
            for n in range(20):
                print(f"line {n}", flush=True)
                time.sleep(0.02)
  - {id: pause, type: wait, with: {for: 1s}}
  - {id: then, type: set, with: {values: {done: true}}}
"""


class Follower:
    """Takes a stream down on a thread of its own."""

    def __init__(self, house: House, path: str, after: str = "") -> None:
        self.told: list[tuple[str, str, Any]] = []
        self._request = urllib.request.Request(
            house.url + path, headers={"Authorization": f"Bearer {house.token}"}
        )
        if after:
            self._request.add_header("Last-Event-ID", after)
        self._left = False
        self.thread = threading.Thread(target=self._follow)
        self.thread.start()

    def _follow(self) -> None:
        event: dict[str, str] = {}
        with urllib.request.urlopen(self._request, timeout=60) as lines:
            for line in lines:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    event[name] = value
                elif "data" in event:
                    data = json.loads(event["data"])
                    self.told.append((event.get("event", ""), event.get("id", ""), data))
                    event = {}
                if self._left:
                    return

    def of(self, kind: str, key: str) -> list[Any]:
        return [data[key] for event, _, data in self.told if event == kind]

    def leave(self) -> None:
        self._left = True


@contextmanager
def following(house: House, path: str) -> Iterator[Follower]:
    follower = Follower(house, path)
    yield follower
    follower.leave()


def test_an_execution_is_followed_while_workers_carry_it_out(house: House) -> None:
    house.add("talks", TALKS)
    with following(house, "/api/v1/executions/stream?bot=talks") as statuses:
        until(lambda: statuses.of("ready", "message"), "the stream to be whole")
        execution = house.execute("talks")
        path = f"/api/v1/executions/{execution}/stream"
        whole = Follower(house, path)
        whole.thread.join(60)
        assert whole.of("log", "message") == [f"line {n}" for n in range(20)]
        told = ["queued", "running", "waiting", "running", "succeeded"]
        assert whole.of("status", "status") == told
        steps = [
            (data["step"], data["status"])
            for event, place, data in whole.told
            if event == "step" and place
        ]
        assert sorted(steps) == [(each, "succeeded") for each in ("pause", "talk", "then")]
        until(lambda: len(statuses.of("status", "status")) >= 4, "the statuses")
        assert set(statuses.of("status", "execution")) == {execution}
        wanted = ["queued", "running", "waiting", "succeeded"]
        assert statuses.of("status", "status") == wanted

        middle = next(
            place for event, place, data in whole.told if data.get("message") == "line 9"
        )
        rest = Follower(house, path, middle)
        rest.thread.join(60)
        finished = [each for each in whole.told if each[1]]
        behind = finished[[place for _, place, _ in finished].index(middle) + 1 :]
        assert [each for each in rest.told if each[1]] == behind
        # Something comes, so that whoever listens sees that it may leave.
        house.execute("talks")
        until(lambda: len(statuses.of("status", "status")) > 4, "one more")
