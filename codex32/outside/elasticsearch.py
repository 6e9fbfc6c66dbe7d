"""Elasticsearch's ``_bulk``: documents go in under their own ids, again and again if need be.

See https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk. An answer may be
200 and refuse some of the documents; those that found no room are sent once more, the others are
told of. Since each has its id, what may have arrived is sent again without harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import ProviderRejected, ProviderUnavailable
from codex32.kernel.json_values import JSON, dumps, loads

#: Of one request; servers refuse what is larger than 100 MB, and are slow long before.
MOST_BYTES, MOST_DOCUMENTS = 4 * 1024 * 1024, 1000
#: How often one and the same is sent, and the pauses between (seconds), unless the server says.
TRIES, FIRST_PAUSE, LONGEST_PAUSE = 8, 0.5, 30.0
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Entry:
    """A document, the index it goes to and its id there."""

    index: str
    id: str
    body: dict[str, JSON]


class Refused(NamedTuple):
    """A document that the server does not take, and what it says."""

    id: str
    why: str


class Bulk:
    """Sends to one server.

    Args:
      http: The way there.
      url: Of the server.
      key: An API key, as Elasticsearch encodes it; None where it needs none.
      sleep: Waits between tries.
    """

    def __init__(
        self,
        http: HttpClient,
        url: str,
        key: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http, self._url, self._sleep = http, f"{url.rstrip('/')}/_bulk", sleep
        self._headers = {"Content-Type": "application/x-ndjson"}
        if key is not None:
            self._headers["Authorization"] = f"ApiKey {key}"

    async def send(self, entries: Sequence[Entry]) -> list[Refused]:
        """Have all of them indexed; those that the server does not take.

        Raises:
          ProviderUnavailable: It had no room, or did not answer, time and again.
          ProviderRejected: It lets nobody in with this key, or is no Elasticsearch.
        """
        refused: list[Refused] = []
        for part in _parts(entries):
            refused += await self._send(part)
        return refused

    async def _send(self, part: Sequence[Entry]) -> list[Refused]:
        refused: list[Refused] = []
        why, pause = "", FIRST_PAUSE
        for number in range(TRIES):
            if number:
                await self._sleep(pause)
            wait = min(FIRST_PAUSE * 2 ** (number + 1), LONGEST_PAUSE)
            try:
                answer = await self._post(part)
            except ProviderUnavailable as error:
                why, pause = error.message, wait
                continue
            if answer.status == 413:
                if len(part) == 1:
                    return [*refused, Refused(part[0].id, "too large for the server (413)")]
                half = len(part) // 2
                return [
                    *refused,
                    *await self._send(part[:half]),
                    *await self._send(part[half:]),
                ]
            if answer.status in _BUSY:
                why, pause = f"it answers {answer.status}", _told_pause(answer, wait)
                continue
            items = _items(answer, len(part))
            if items is None:
                why, pause = "its answer is cut off or none of _bulk", wait
                continue
            judged = list(zip(part, items, strict=True))
            refused += [
                Refused(entry.id, told)
                for entry, (status, told) in judged
                if status >= 300 and status not in _BUSY
            ]
            part = [entry for entry, (status, _) in judged if status in _BUSY]
            if not part:
                return refused
            why, pause = "it has no room for some of them", wait
        raise ProviderUnavailable(f"{len(part)} documents could not be delivered: {why}")

    async def _post(self, part: Sequence[Entry]) -> HttpResponse:
        request = HttpRequest(
            self._url, "POST", self._headers, body=_body(part), timeout_seconds=60.0
        )
        answer = await self._http.send(request)
        if answer.status in (401, 403):
            raise ProviderRejected(
                f"Elasticsearch answers {answer.status}: give a key that may index, "
                "in ELASTICSEARCH_API_KEY"
            )
        if answer.status not in (200, 413, *_BUSY):
            raise ProviderRejected(f"Elasticsearch answers {answer.status} to _bulk")
        return answer


def _parts(entries: Sequence[Entry]) -> list[list[Entry]]:
    parts: list[list[Entry]] = []
    room = 0
    for entry in entries:
        size = len(_body([entry]))
        if size > room or len(parts[-1]) == MOST_DOCUMENTS:
            parts.append([])
            room = MOST_BYTES
        parts[-1].append(entry)
        room -= size
    return parts


def _body(part: Sequence[Entry]) -> bytes:
    lines = []
    for entry in part:
        lines.append(dumps({"index": {"_index": entry.index, "_id": entry.id}}))
        lines.append(dumps(entry.body))
    return ("\n".join(lines) + "\n").encode(errors="replace")


def _items(answer: HttpResponse, count: int) -> list[tuple[int, str]] | None:
    """Status and complaint of each; None where that cannot be read."""
    try:
        items = [item["index"] for item in loads(answer.text())["items"]]
        told = [(int(item["status"]), _complaint(item.get("error"))) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return told if len(told) == count else None


def _complaint(error: JSON) -> str:
    return f"{error.get('type')}: {error.get('reason')}"[:300] if isinstance(error, dict) else ""


def _told_pause(answer: HttpResponse, otherwise: float) -> float:
    told = answer.headers.get("retry-after", "")
    return min(float(told), LONGEST_PAUSE) if told.isdecimal() else otherwise
