"""Submits executions over HTTP, as a careful client does, and notes what was acknowledged."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit
from uuid import uuid4


class Load:
    """Asks again, with the same idempotency key, until it is told the id.

    Args:
      url: Of the API, as it is told at each new connection.
      token: Likewise.

    Attributes:
      acknowledged: The id of each execution that was asked for, by idempotency key.
      broken: Requests that were not answered, or not with yes.
    """

    def __init__(self, url: Callable[[], str], token: Callable[[], str]) -> None:
        self._url, self._token = url, token
        self.acknowledged: dict[str, str] = {}
        self.broken = 0
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def submit(self, names: Sequence[str], patience_seconds: float = 60.0) -> None:
        """Ask for one execution of each name; returns when all are acknowledged."""
        connection = None
        for name in names:
            key = uuid4().hex
            deadline = time.monotonic() + patience_seconds
            while (told := self._ask(name, key, connection))[0] is None:
                connection = None
                self.broken += 1
                assert time.monotonic() < deadline, f"{name} is not taken: {told[2]}"
                time.sleep(0.1)
            assert told[0] is not None
            self.acknowledged[key] = told[0]
            connection = told[1]
        if connection is not None:
            connection.close()

    def submit_many(self, names: Sequence[str], callers: int = 24) -> None:
        """Ask for many at once, in a time without violence: one answer a request, and no key."""
        parts = [names[number::callers] for number in range(callers)]
        threads = [threading.Thread(target=self._submit_plain, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _submit_plain(self, names: Sequence[str]) -> None:
        connection = None
        for name in names:
            told, connection, fault = self._ask(name, None, connection)
            assert told is not None, fault
            self.acknowledged[told] = told
        if connection is not None:
            connection.close()

    def start(self, names: Sequence[str], per_second: float, seed: int, threads: int = 3) -> None:
        """Go on asking for executions of these bots until :meth:`stop`."""
        for number in range(threads):
            source = random.Random(f"{seed}/{number}")
            thread = threading.Thread(
                target=self._go_on, args=(names, threads / per_second, source), daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ask for no more; returns when what was asked for is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, names: Sequence[str], pause: float, source: random.Random) -> None:
        while not self._stop.wait(source.uniform(0, 2 * pause)):
            self.submit([source.choice(list(names))], patience_seconds=120)

    def _ask(
        self, name: str, key: str | None, connection: http.client.HTTPConnection | None
    ) -> tuple[str | None, http.client.HTTPConnection | None, object]:
        try:
            if connection is None:
                parts = urlsplit(self._url())
                connection = http.client.HTTPConnection(
                    parts.hostname or "", parts.port, timeout=45
                )
            headers = {
                "Authorization": f"Bearer {self._token()}",
                "Content-Type": "application/json",
                **({} if key is None else {"Idempotency-Key": key}),
            }
            connection.request("POST", f"/api/v1/bots/{name}/execute", b"{}", headers)
            with connection.getresponse() as answer:
                body = answer.read()
            if answer.status != 202:
                connection.close()
                return None, None, body
            return json.loads(body)["id"], connection, None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if connection is not None:
                connection.close()
            return None, None, repr(error)
