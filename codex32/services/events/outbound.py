"""The courier: sends what is due to endpoints, few at a time to each, so that none waits long."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from codex32.kernel.beats import until_beat
from codex32.kernel.clock import Clock, from_micros
from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.database import Door, is_outage
from codex32.kernel.errors import CapabilityRefused, Codex32Error, ProviderError
from codex32.kernel.fault_points import fault_point
from codex32.kernel.outbound_rows import EndpointRow
from codex32.kernel.sending import http_date
from codex32.services.events import outbound_claims, outbound_endpoints
from codex32.services.events.outbound_claims import Claim, Ending
from codex32.services.events.outbound_signing import sign
from codex32.services.safe.vault import Vault

log = logging.getLogger(__name__)

#: Deliveries under way at once: in all, to one endpoint, and in all to endpoints that fail.
MOST, MOST_EACH, MOST_FAILING = 64, 4, 16
#: Between two looks while there is nothing to do.
PAUSE_SECONDS = 0.5
#: Beyond its time limit, an attempt stays with its sender for so long.
GRACE_SECONDS = 10.0
#: Of an answer that is kept.
ANSWER_BYTES = 1000
#: What is being sent when the process stops may end within this.
_LAST_SECONDS = 3.0
_OUTCOMES = {
    "http-unreachable": "unreachable",
    "http-timeout": "timeout",
    "http-cut": "cut",
}


class Courier:
    """Sends deliveries. Any number of processes may have one.

    Args:
      client: The guarded way out.
      sender: The name of the process.
      timeout_seconds: Of one attempt.
    """

    def __init__(
        self,
        door: Door,
        clock: Clock,
        vault: Vault,
        client: HttpClient,
        *,
        sender: str,
        timeout_seconds: float,
    ) -> None:
        self._door, self._clock, self._vault, self._client = door, clock, vault, client
        self._sender, self._timeout = sender, timeout_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: Counter[str] = Counter()
        self._failing: Counter[str] = Counter()
        self._ended = asyncio.Event()
        #: Attempts of this process by how they ended, for whoever counts.
        self.outcomes: Counter[str] = Counter()

    async def run(self) -> None:
        """Send until cancelled; what is under way then is given a moment."""
        try:
            while True:
                begun = 0
                self._ended.clear()
                try:
                    begun = await self.round()
                except Exception as error:
                    if is_outage(error):
                        log.warning("webhooks wait for the database: %s", error)
                    else:
                        log.exception("webhooks could not be sent and are tried again")
                if begun:
                    continue
                try:
                    # Before Python 3.12 wait_for swallows a cancellation that comes together with
                    # what is waited for, and nobody would ever stop this one.
                    async with asyncio.timeout(until_beat(PAUSE_SECONDS)):
                        await self._ended.wait()
                except TimeoutError:
                    continue
        finally:
            if self._tasks:
                await asyncio.wait(list(self._tasks), timeout=_LAST_SECONDS)
            for task in list(self._tasks):
                task.cancel()

    async def round(self) -> int:
        """Begin to send what is due and has a place; how much that is."""
        now = self._clock.micros()
        endpoints = await self._door.read(outbound_claims.with_due, now)
        places = self._places(endpoints)
        if not places:
            return 0
        until = now + int((self._timeout + GRACE_SECONDS) * 1e6)
        claims = await self._door.write(
            lambda: outbound_claims.claim(places, now, until, self._sender)
        )
        by_id = {endpoint.id: endpoint for endpoint in endpoints}
        for each in claims:
            self._begin(each, by_id[each.endpoint_id])
        return len(claims)

    async def idle(self) -> None:
        """Return when nothing is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _places(self, endpoints: Sequence[EndpointRow]) -> dict[str, int]:
        """How much may be sent to each endpoint: one after the other, the least busy first."""
        places: dict[str, int] = {}
        free = MOST - len(self._tasks)
        unsure = MOST_FAILING - sum(self._failing.values())
        for endpoint in sorted(endpoints, key=lambda each: self._under_way[each.id]):
            if endpoint.failing_since is not None:
                # Whether it is back is tried one by one, and holds up no other.
                if self._under_way[endpoint.id] or unsure <= 0:
                    continue
                unsure -= 1
            if free > 0 and self._under_way[endpoint.id] < MOST_EACH:
                places[endpoint.id] = 1
                free -= 1
        for endpoint in endpoints:
            if endpoint.id in places and endpoint.failing_since is None:
                more = min(free, MOST_EACH - self._under_way[endpoint.id] - 1)
                places[endpoint.id] += more
                free -= more
        return places

    def _begin(self, claim: Claim, endpoint: EndpointRow) -> None:
        counted = [self._under_way]
        if endpoint.failing_since is not None:
            counted.append(self._failing)
        for counter in counted:
            counter[endpoint.id] += 1
        task = asyncio.get_running_loop().create_task(self._send(claim, endpoint))
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            for counter in counted:
                counter[endpoint.id] -= 1
                if not counter[endpoint.id]:
                    del counter[endpoint.id]
            self._ended.set()
            if not done.cancelled() and (error := done.exception()) is not None:
                about = {"workspace": endpoint.workspace}
                log.error("%s could not be sent", claim.id, exc_info=error, extra=about)

        task.add_done_callback(ended)

    async def _send(self, claim: Claim, endpoint: EndpointRow) -> None:
        ending = await self._attempt(claim, endpoint)
        fault_point("webhook.before_record")
        await self._door.write_many(outbound_claims.finish, ending, patience_seconds=None)
        self.outcomes[ending.outcome] += 1
        if not ending.good:
            told, about = "%s to %s: %s %s", {"workspace": endpoint.workspace}
            log.info(told, claim.id, endpoint.id, ending.outcome, ending.answer, extra=about)

    async def _attempt(self, claim: Claim, endpoint: EndpointRow) -> Ending:
        now = self._clock.micros()
        try:
            keys = await self._door.read(outbound_endpoints.keys, self._vault, endpoint, now)
            response = await self._client.send(self._request(claim, endpoint.url, keys, now))
        except CapabilityRefused as error:
            return Ending(claim, self._clock.micros(), "forbidden", answer=error.message)
        except ProviderError as error:
            outcome = _OUTCOMES.get(error.fault_code, "unreachable")
            return Ending(claim, self._clock.micros(), outcome, answer=error.message)
        except Codex32Error as error:  # the keys that it is signed with do not open
            about = {"workspace": endpoint.workspace}
            log.error("%s cannot be signed: %s", claim.id, error.message, extra=about)
            return Ending(claim, self._clock.micros(), "unsigned", answer=error.message)
        return _judged(claim, response, self._clock.micros())

    def _request(self, claim: Claim, url: str, keys: Sequence[str], now: int) -> HttpRequest:
        body, seconds = claim.body.encode(), now // 1_000_000
        return HttpRequest(
            url,
            "POST",
            {
                "content-type": "application/json",
                "webhook-id": claim.id,
                "webhook-timestamp": str(seconds),
                "webhook-signature": sign(keys, claim.id, seconds, body),
            },
            body=body,
            timeout_seconds=self._timeout,
            max_bytes=ANSWER_BYTES,
            cut=True,
        )


def _judged(claim: Claim, response: HttpResponse, now: int) -> Ending:
    """What an answer means: 2xx that it got through, anything else (redirects, too) that not."""
    good = 200 <= response.status < 300
    return Ending(
        claim,
        now,
        "delivered" if good else "refused",
        response.status,
        response.text()[:ANSWER_BYTES].replace("\x00", "\ufffd"),
        None if good else _wait(response.headers.get("retry-after"), from_micros(now)),
    )


def _wait(header: str | None, now: datetime) -> float | None:
    """The seconds that ``Retry-After`` asks for, as a number or as a date."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:9])
    then = http_date(header)
    if then is None or then.tzinfo is None:
        return None
    return max((then - now).total_seconds(), 0.0)
