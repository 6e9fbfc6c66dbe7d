"""A server that takes ``_bulk`` as Elasticsearch does on the wire; it also misbehaves.

It judges every request as the real one does: NDJSON that ends with a line feed, an action before
each document, the content type, an answer item for each in order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from codex32_serving import QuietHandler, serving

KEY = "bm90OmEta2V5"


class Elastic:
    """What is in it.

    Attributes:
      faults: What the next requests meet, in order: ``429``, ``503``, ``413``, ``crowded`` (a
        third of the documents find no room), ``torn`` (all is kept, the answer is cut).
      refuses: Ids that its mapping does not let in.
      most_bytes: A request that is longer is answered ``413``.
    """

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes: Counter[tuple[str, str]] = Counter()
        self.faults: list[str] = []
        self.refuses: set[str] = set()
        self.most_bytes = 100 * 1024 * 1024
        self.requests = 0
        self.url = ""

    def index(self, name: str) -> dict[str, dict[str, Any]]:
        """The documents of an index, by id."""
        return {id: each for (index, id), each in self.documents.items() if index == name}

    def take(self, body: bytes, *, crowded: bool) -> list[dict[str, Any]]:
        """Read a request, as far as it is one; the items of the answer."""
        text = body.decode()
        assert text.endswith("\n"), "the bulk request must be terminated by a newline"
        lines = [json.loads(line) for line in text.splitlines()]
        assert len(lines) % 2 == 0
        items = []
        for number, (action, document) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
            place = action["index"]["_index"], action["index"]["_id"]
            told: dict[str, Any] = {"_index": place[0], "_id": place[1]}
            if crowded and number % 3 == 0:
                reason = "rejected execution of coordinating operation"
                error = {"type": "es_rejected_execution_exception", "reason": reason}
                told |= {"status": 429, "error": error}
            elif place[1] in self.refuses:
                reason = "failed to parse field [message]"
                error = {"type": "document_parsing_exception", "reason": reason}
                told |= {"status": 400, "error": error}
            else:
                told["status"] = 200 if place in self.documents else 201
                self.documents[place] = document
                self.writes[place] += 1
            items.append({"index": told})
        return items


@contextmanager
def serving_elastic() -> Iterator[Elastic]:
    """One on a free port of this machine."""
    elastic = Elastic()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            elastic.requests += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Authorization") != f"ApiKey {KEY}":
                return self._say(401, {"error": {"type": "security_exception"}, "status": 401})
            if self.path != "/_bulk" or self.headers["Content-Type"] != "application/x-ndjson":
                return self._say(406, {"error": "Content-Type header is not supported"})
            if len(body) > elastic.most_bytes:
                return self._say(413, {"error": "too large"})
            fault = elastic.faults.pop(0) if elastic.faults else ""
            if fault.isdecimal():
                return self._say(int(fault), {"error": "busy"}, {"Retry-After": "0"})
            items = elastic.take(body, crowded=fault == "crowded")
            errors = any("error" in item["index"] for item in items)
            answer = {"took": 3, "errors": errors, "items": items}
            return self._say(200, answer, torn=fault == "torn")

        def _say(
            self, status: int, told: Any, more: dict[str, str] | None = None, *, torn: bool = False
        ) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in (more or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if torn else body)
            self.close_connection = torn

    with serving(Handler) as elastic.url:
        yield elastic
