"""Webhooks that go out, to a real server that misbehaves: signed, repeated, given up."""

import asyncio
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import partial
from socket import AF_INET
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks import Webhook, WebhookVerificationError

from codex32 import ManualClock
from codex32.kernel import fault_points
from codex32.kernel.caller import Caller
from codex32.kernel.ids import new_id
from codex32.kernel.models import EventRow
from codex32.kernel.outbound_rows import DeliveryAttemptRow, DeliveryRow, EndpointRow
from codex32.kernel.safe_rows import AuditRow
from codex32.outside.http import GuardedHttpClient
from codex32.services.events import events, outbound, outbound_claims
from codex32.services.events import outbound_deliveries as deliveries
from codex32.services.events import outbound_endpoints as endpoints
from codex32.services.events.outbound import Courier
from codex32.services.events.outbound_endpoints import EndpointInvalid, EndpointNotFound, Wish
from codex32.services.events.outbox import Outbox
from codex32.services.events.routing import Router
from codex32.services.safe.keyring import KeySource
from codex32.services.safe.vault import Vault
from codex32.services.upkeep import retention

ANN = Caller("user", "usr_1", "ann", workspace="default")
DEADLINE = 60


class Receiver:
    """A server that answers a path as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = defaultdict(list)
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.port = 0
        self.most = 0
        self._now = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, path: str = "/hook") -> list[Any]:
        return [json.loads(body) for where, _, body in self.came if where == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.came.append((request.path, headers, body))
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            told = self.answers[request.path]
            answer = told.pop(0) if len(told) > 1 else told[0] if told else 200
            if callable(answer):
                answer = await answer(request)
            if isinstance(answer, int):
                answer = web.Response(status=answer, text=f"answer {answer}")
            return answer
        finally:
            self._now -= 1


@pytest_asyncio.fixture
async def receiver():
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    await runner.cleanup()


@pytest.fixture
def clock() -> ManualClock:
    """Begins now: receivers look at the time in the signature."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def outbox(components, payloads) -> Outbox:
    return Outbox(components.trigger_types, payloads)


@pytest.fixture
def door(open_door, outbox):
    return open_door(outbox=outbox.keep)


@pytest.fixture
def vault(tmp_path) -> Vault:
    return Vault(KeySource(None, tmp_path / "keys"))


@pytest_asyncio.fixture
async def client(receiver):
    client = GuardedHttpClient(private_hosts=[f"127.0.0.1:{receiver.port}"])
    yield client
    await client.close()


@pytest.fixture
def courier(door, clock, vault, client):
    def make(sender: str = "prc_1", timeout_seconds: float = 5.0) -> Courier:
        return Courier(door, clock, vault, client, sender=sender, timeout_seconds=timeout_seconds)

    return make


@pytest.fixture
def add(door, vault, clock, receiver):
    """Adds an endpoint; its id and its secret."""

    async def added(path: str = "/hook", workspace: str = "default", **wish: Any) -> Any:
        given = {"url": receiver.url(path), "events": ["custom.*"], **wish}
        work = partial(
            endpoints.create, vault, Wish(**given), ANN, clock.micros(), workspace=workspace
        )
        row, secret = await door.write(work)
        return row.id, secret

    return added


@pytest.fixture
def tell(door, clock, components, definitions, payloads):
    """Publishes an event, and has it delivered as a scheduler does."""
    router = Router(components.trigger_types, definitions, payloads)

    async def told(name: str = "custom.paid", data: Any = None, **more: Any) -> str:
        event_id, now = new_id("evt"), clock.micros()
        await events.publish(door, events.Publish(name, data, now, event_id, **more))
        await router.run(door, now)
        return event_id

    return told


async def send(courier: Courier) -> None:
    """Send what is due now, to the last."""
    async with asyncio.timeout(DEADLINE):
        while True:
            began = await courier.round()
            await courier.idle()
            if not began:
                return


async def rows(door: Any, kind: Any) -> list[Any]:
    return await door.read(lambda: list(kind.select()))


async def attempts(door: Any) -> list[tuple[str, int | None]]:
    found = sorted(await rows(door, DeliveryAttemptRow), key=lambda row: row.number)
    return [(row.outcome, row.status) for row in found]


async def only(door: Any, kind: Any) -> Any:
    (row,) = await rows(door, kind)
    return row


# what is sent


async def test_an_event_is_sent_once_to_whoever_wants_it_and_signed(
    door, courier, add, tell, receiver
):
    _, secret = await add()
    await add("/other", events=["execution.failed"])
    await add("/theirs", workspace="other")
    event_id = await tell("custom.paid", {"order": 7})
    await send(courier())
    ((path, headers, body),) = receiver.came
    assert path == "/hook"
    told = Webhook(secret).verify(body, headers)
    assert (told["type"], told["data"]) == ("custom.paid", {"order": 7})
    assert set(told) == {"type", "timestamp", "data"}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"7", b"8"), headers)
    delivery = await only(door, DeliveryRow)
    assert (delivery.id, delivery.event_id) == (headers["webhook-id"], event_id)
    assert (delivery.status, delivery.tries, delivery.next_at) == ("delivered", 1, None)
    assert await attempts(door) == [("delivered", 200)]
    endpoint = next(row for row in await rows(door, EndpointRow) if row.delivered)
    assert (endpoint.delivered, endpoint.failed, endpoint.failing_since) == (1, 0, None)


async def test_neither_a_redirect_nor_another_answer_of_a_name_leads_inside(
    door, clock, vault, add, tell, receiver
):
    inside = f"http://127.0.0.2:{receiver.port}/inside"

    async def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": inside})

    receiver.answers["/away"] = [away]
    await add("/away")
    await add(url=f"http://rebind.example:{receiver.port}/bound")
    names = Rebinding("127.0.0.1", "127.0.0.2")
    client = GuardedHttpClient(private_hosts=[f"127.0.0.1:{receiver.port}"], resolver=names)
    courier = Courier(door, clock, vault, client, sender="prc_1", timeout_seconds=5.0)
    try:
        await tell()
        await send(courier)
        for session in client._sessions.values():
            session.connector.clear_dns_cache()
        await tell()
        await send(courier)
    finally:
        await client.close()
    assert sorted(path for path, _, _ in receiver.came) == ["/away", "/away", "/bound"]
    told = Counter((row.outcome, row.status) for row in await rows(door, DeliveryAttemptRow))
    assert told == {("delivered", 200): 1, ("forbidden", None): 1, ("refused", 302): 2}


class Rebinding(AbstractResolver):
    """A name server that gives another address each time; the last one for ever."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


async def test_both_secrets_sign_while_one_is_replaced(
    door, courier, add, tell, receiver, vault, clock
):
    endpoint_id, old = await add()

    def rotate(seconds: float) -> str:
        return endpoints.rotate(
            vault, endpoint_id, ANN, clock.micros(), keep_seconds=seconds, workspace="default"
        )

    new = await door.write(lambda: rotate(3600))
    await tell()
    await send(courier())
    _, headers, body = receiver.came[-1]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (new, old):
        Webhook(secret).verify(body, headers)
    clock.advance(3601)
    await tell()
    await send(courier())
    _, headers, body = receiver.came[-1]
    assert len(headers["webhook-signature"].split()) == 1
    newest = await door.write(lambda: rotate(0))
    await tell()
    await send(courier())
    _, headers, body = receiver.came[-1]
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body, headers)
    assert newest not in (new, old)


async def test_no_secret_stands_in_the_rows(door, add, vault, clock):
    _, secret = await add()
    row = await only(door, EndpointRow)
    assert secret not in repr(row.__data__)
    assert secret.removeprefix("whsec_") not in repr(row.__data__)
    assert await door.read(endpoints.keys, vault, row, clock.micros()) == [secret]
    assert [each.action for each in await rows(door, AuditRow)] == ["webhook.created"]
    assert secret not in repr([each.__data__ for each in await rows(door, AuditRow)])


async def test_what_is_too_long_is_named_and_not_sent(courier, add, tell, receiver):
    await add()
    event_id = await tell("custom.long", "ä" * 15_000)
    await send(courier())
    assert receiver.bodies()[0]["data"] == {"too_long": True, "event": event_id}


# how it can go wrong


@pytest.mark.parametrize("status", [500, 404, 301, 204])
async def test_what_is_not_2xx_is_tried_again_later_with_the_same_id(
    door, courier, add, tell, receiver, clock, status
):
    await add()

    async def redirect(request: Any) -> Any:
        return web.Response(status=301, headers={"Location": receiver.url("/elsewhere")})

    receiver.answers["/hook"] = [redirect if status == 301 else status, 200]
    await tell()
    await send(courier())
    if status == 204:
        assert await attempts(door) == [("delivered", 204)]
        return
    assert await attempts(door) == [("refused", status)]
    delivery, endpoint = await only(door, DeliveryRow), await only(door, EndpointRow)
    assert (delivery.status, endpoint.failing_since) == ("pending", clock.micros())
    assert 4 <= (delivery.next_at - clock.micros()) / 1e6 <= 6
    if status != 301:
        assert (await rows(door, DeliveryAttemptRow))[0].answer == f"answer {status}"
    clock.advance(6.1)
    await send(courier())
    assert await attempts(door) == [("refused", status), ("delivered", 200)]
    assert len({headers["webhook-id"] for _, headers, _ in receiver.came}) == 1
    assert (await only(door, EndpointRow)).failing_since is None
    assert {path for path, _, _ in receiver.came} == {"/hook"}


async def test_no_private_address_is_reached_by_url_or_by_redirect(
    door, courier, add, tell, receiver
):
    async def to_metadata(request: Any) -> Any:
        return web.Response(status=307, headers={"Location": "http://169.254.169.254/latest"})

    receiver.answers["/hook"] = [to_metadata]
    await add()
    for url in ("http://169.254.169.254/x", "http://[::1]:80/", "http://10.0.0.1/"):
        await add(url=url)
    await tell()
    await send(courier())
    outcomes = sorted(await attempts(door))
    assert outcomes == [*[("forbidden", None)] * 3, ("refused", 307)]


async def test_a_server_that_is_slow_cut_or_away_counts_as_failing(
    door, courier, add, tell, receiver, clock
):
    async def slow(request: Any) -> Any:
        await asyncio.sleep(60)

    async def cut(request: Any) -> Any:
        request.transport.abort()
        return 200

    receiver.answers["/slow"], receiver.answers["/cut"] = [slow], [cut]
    await add("/slow")
    await add("/cut")
    await tell()
    await send(courier(timeout_seconds=0.2))
    found = {row.outcome for row in await rows(door, DeliveryAttemptRow)}
    assert found == {"timeout", "cut"}


async def test_a_long_answer_is_cut_and_not_kept_whole(door, courier, add, tell, receiver):
    async def endless(request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    receiver.answers["/hook"] = [endless]
    await add()
    await tell()
    await send(courier())
    (attempt,) = await rows(door, DeliveryAttemptRow)
    assert (attempt.outcome, len(attempt.answer)) == ("delivered", outbound.ANSWER_BYTES)


@pytest.mark.parametrize("date", [False, True])
async def test_retry_after_is_heeded_for_all_that_the_endpoint_gets(
    door, courier, add, tell, receiver, clock, date
):
    async def busy(request: Any) -> Any:
        then = datetime.fromtimestamp(clock.micros() / 1e6 + 600, UTC)
        wait = then.strftime("%a, %d %b %Y %H:%M:%S GMT") if date else "600"
        return web.Response(status=429, headers={"Retry-After": wait})

    receiver.answers["/hook"] = [busy, 200]
    await add()
    await tell()
    await send(courier())
    await tell()
    clock.advance(590)
    await send(courier())
    assert len(receiver.came) == 1
    clock.advance(11)
    await send(courier())
    assert len(receiver.came) == 3


async def test_gone_disables_and_tells(door, courier, add, tell, receiver, clock):
    endpoint_id, _ = await add()
    await add("/watch", events=["webhook.disabled"])
    receiver.answers["/hook"] = [410]
    await tell()
    await send(courier())
    await tell()  # which makes no delivery for it any more
    await send(courier())
    assert [body["data"] for body in receiver.bodies("/watch")] == [
        {"endpoint": endpoint_id, "url": receiver.url(), "because": "gone"}
    ]
    assert len(receiver.bodies("/hook")) == 1
    row = await door.read(partial(endpoints.get, endpoint_id, workspace="default"))
    assert (row.enabled, row.disabled_because, row.failed) == (False, "gone", 1)


async def test_a_round_ends_after_three_days_and_an_endpoint_that_fails_on_is_disabled(
    door, courier, add, tell, receiver, clock
):
    endpoint_id, _ = await add()
    receiver.answers["/hook"] = [500]
    began = clock.micros()
    await tell()
    for _ in range(len(outbound_claims.PAUSES_SECONDS) + 1):
        await send(courier())
        delivery = await only(door, DeliveryRow)
        if delivery.next_at is not None:
            clock.advance((delivery.next_at - clock.micros()) / 1e6)
    assert (delivery.status, delivery.tries) == ("failed", 10)
    assert 2.4 <= (delivery.finished_at - began) / 86_400e6 <= 3.8
    assert (await only(door, EndpointRow)).enabled
    clock.advance(3 * 86_400)
    await tell()
    await send(courier())
    row = await only(door, EndpointRow)
    assert (row.enabled, row.disabled_because, row.failed) == (False, "failing", 1)
    # Once it is enabled, what waits goes on.
    receiver.answers["/hook"] = [200]
    wish = Wish(enabled=True)
    change = partial(endpoints.change, endpoint_id, wish, ANN, clock.micros(), workspace="default")
    await door.write(change)
    clock.advance(6.1)
    await send(courier())
    statuses = sorted(row.status for row in await rows(door, DeliveryRow))
    assert statuses == ["delivered", "failed"]


# who sends


async def test_a_sender_that_dies_between_sending_and_recording_is_followed_by_another(
    door, courier, add, tell, receiver, clock
):
    await add()
    await tell()

    def die() -> None:
        raise asyncio.CancelledError

    fault_points.arm("webhook.before_record", die)
    try:
        await send(courier("prc_1"))
    finally:
        fault_points.disarm()
    assert await attempts(door) == [("sending", None)]
    await send(courier("prc_2"))
    assert len(receiver.came) == 1  # it may still be under way
    clock.advance(16)
    await send(courier("prc_2"))
    assert await attempts(door) == [("unknown", None), ("delivered", 200)]
    ids = [headers["webhook-id"] for _, headers, _ in receiver.came]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_several_schedulers_send_everything_once(courier, add, tell, receiver, door):
    for n in range(3):
        await add(f"/hook{n}")
    for n in range(20):
        await tell(data=n)
    couriers = [courier(f"prc_{n}") for n in range(3)]
    async with asyncio.timeout(DEADLINE):
        while any(row.status != "delivered" for row in await rows(door, DeliveryRow)):
            await asyncio.gather(*(send(each) for each in couriers))
    assert len(receiver.came) == 60
    assert len({headers["webhook-id"] for _, headers, _ in receiver.came}) == 60
    assert {row.delivered for row in await rows(door, EndpointRow)} == {20}


async def test_what_several_take_at_once_one_of_them_gets(add, tell, door, clock, at_once):
    endpoint_id, _ = await add()
    for n in range(10):
        await tell(data=n)
    now = clock.micros()
    take = partial(outbound_claims.claim, {endpoint_id: 10}, now, now + 1_000_000, "prc_1")
    taken = await asyncio.to_thread(at_once, 4, take)
    assert sorted(map(len, taken)) == [0, 0, 0, 10]
    assert await attempts(door) == [("sending", None)] * 10


async def test_endpoints_that_hang_hold_up_no_other_and_get_few_at_once(
    courier, add, tell, receiver
):
    release = asyncio.Event()

    async def hang(request: Any) -> Any:
        await release.wait()
        return 200

    for n in range(3):
        receiver.answers[f"/hang{n}"] = [hang]
        await add(f"/hang{n}")
    await add("/quick")
    for n in range(10):
        await tell(data=n)
    running = asyncio.ensure_future(courier(timeout_seconds=300.0).run())
    async with asyncio.timeout(DEADLINE):
        while len(receiver.bodies("/quick")) < 10:
            await asyncio.sleep(0.01)
    hanging = [len(receiver.bodies(f"/hang{n}")) for n in range(3)]
    assert hanging == [outbound.MOST_EACH] * 3
    release.set()
    async with asyncio.timeout(DEADLINE):
        while len(receiver.came) < 40:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sorted(body["data"] for body in receiver.bodies("/quick")) == list(range(10))


@pytest.mark.parametrize("turns", range(4))
async def test_whoever_sends_can_be_stopped_in_the_moment_in_which_a_delivery_ends(courier, turns):
    sender = courier()
    running = asyncio.ensure_future(sender.run())
    await asyncio.sleep(0.2)  # it found nothing to do, and waits
    sender._ended.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=10)
    assert done


async def test_an_endpoint_that_fails_is_tried_by_one_at_a_time(
    door, courier, add, tell, receiver, clock
):
    await add()
    receiver.answers["/hook"] = [500]
    await tell()
    await send(courier())
    for n in range(5):
        await tell(data=n)
    seen = courier()
    assert await seen.round() == 1
    await seen.idle()
    assert seen.outcomes == {"refused": 1}


async def test_what_is_deleted_while_it_is_sent_leaves_nothing(
    door, courier, add, tell, receiver, clock
):
    endpoint_id, _ = await add()

    async def remove(request: Any) -> Any:
        work = partial(endpoints.delete, endpoint_id, ANN, clock.micros(), workspace="default")
        await door.write(work)
        return 500

    receiver.answers["/hook"] = [remove]
    await tell()
    await send(courier())
    for kind in (EndpointRow, DeliveryRow, DeliveryAttemptRow):
        assert await rows(door, kind) == []


# looking, trying, replaying


async def test_a_delivery_is_listed_read_and_replayed_with_the_same_id(
    door, courier, add, tell, receiver, clock
):
    endpoint_id, _ = await add()
    receiver.answers["/hook"] = [400]
    for n in range(3):
        await tell(data=n)
    for pause in (0, *outbound_claims.PAUSES_SECONDS):
        clock.advance(pause * 1.2)
        await send(courier())
    listed = await door.read(
        partial(deliveries.listing, endpoint_id, workspace="default", status="failed")
    )
    assert [row.tries for row in listed] == [10] * 3
    shown = await door.read(deliveries.detail, listed[0])
    assert shown["body"]["data"] == 2
    assert [each["status"] for each in shown["attempts"]] == [400] * 10
    receiver.answers["/hook"], receiver.came[:] = [200], []
    enable = partial(
        endpoints.change, endpoint_id, Wish(enabled=True), ANN, clock.micros(), workspace="default"
    )
    await door.write(enable)
    replay = partial(
        deliveries.replay, endpoint_id, listed[0].id, ANN, clock.micros(), workspace="default"
    )
    await door.write(replay)
    await send(courier())
    assert [headers["webhook-id"] for _, headers, _ in receiver.came] == [listed[0].id]

    async def again(wanted):
        act = partial(deliveries.replay_range, endpoint_id, wanted, ANN, clock.micros())
        return await door.write(partial(act, workspace="default"))

    assert await again(deliveries.Range(0)) == 2
    await send(courier())
    assert {row.status for row in await rows(door, DeliveryRow)} == {"delivered"}
    assert len(receiver.came) == 3

    # A receiver that lost what it had taken is sent all of it, in its order, under the same ids.
    made = sorted(row.created_at for row in await rows(door, DeliveryRow))
    receiver.came[:] = []
    assert await again(deliveries.Range(0)) == 0
    assert await again(deliveries.Range(0, made[0], delivered=True)) == 0
    assert await again(deliveries.Range(0, delivered=True)) == 3
    assert await again(deliveries.Range(0, delivered=True)) == 0  # they are under way
    await send(courier())
    ids = {headers["webhook-id"] for _, headers, _ in receiver.came}
    assert (len(receiver.came), ids) == (3, {row.id for row in listed})


async def test_a_test_says_nothing_and_shows_whether_it_arrives(
    door, courier, add, receiver, clock
):
    endpoint_id, secret = await add()
    work = partial(deliveries.ping, endpoint_id, ANN, clock.micros(), workspace="default")
    await door.write(work)
    await send(courier())
    ((_, headers, body),) = receiver.came
    assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"
    wish = Wish(enabled=False)
    off = partial(endpoints.change, endpoint_id, wish, ANN, clock.micros(), workspace="default")
    await door.write(off)
    with pytest.raises(deliveries.EndpointDisabled):
        await door.write(work)


async def test_old_deliveries_are_let_go_and_waiting_ones_are_not(
    door, courier, add, tell, receiver, clock, payloads
):
    await add()
    await tell()
    await send(courier())
    receiver.answers["/hook"] = [500]
    await tell()
    await send(courier())
    clock.advance(31 * 86_400)
    limits = retention.Limits(days={}, event_days=None)
    done = await retention.prune(door, limits, payloads, clock.micros())
    assert done.deliveries == 1
    assert (await only(door, DeliveryRow)).status == "pending"
    assert len(await rows(door, DeliveryAttemptRow)) == 1
    # An endpoint that was deleted while a delivery for it was made.
    await door.write(EndpointRow.delete().execute)
    assert (await retention.prune(door, limits, payloads, clock.micros())).deliveries == 1
    assert await rows(door, DeliveryAttemptRow) == []


# what an endpoint may be


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"url": "ftp://example.com"}, "write a URL such as"),
        ({"url": "https://"}, "write a URL such as"),
        ({"url": "https://a:b@example.com"}, "a user or a password"),
        ({"url": "http://[::1"}, "cannot be read"),
        ({"url": "https://example.com/" + "x" * 2048}, "at most 2048"),
        ({"events": []}, "name 1 to 20"),
        ({"events": ["execution.fail"]}, "did you mean"),
        ({"description": "x" * 501}, "at most 500"),
    ],
)
async def test_what_no_endpoint_can_be_is_refused(add, wish, told):
    with pytest.raises(EndpointInvalid, match=told):
        await add(**wish)


async def test_an_endpoint_is_found_in_its_workspace_alone(door, add, clock):
    endpoint_id, _ = await add()
    now = clock.micros()
    for work in (
        partial(endpoints.get, endpoint_id),
        partial(endpoints.change, endpoint_id, Wish(enabled=False), ANN, now),
        partial(endpoints.delete, endpoint_id, ANN, now),
        partial(deliveries.ping, endpoint_id, ANN, now),
        partial(deliveries.listing, endpoint_id),
        partial(deliveries.replay_range, endpoint_id, deliveries.Range(0), ANN, now),
    ):
        with pytest.raises(EndpointNotFound):
            await door.write(partial(work, workspace="other"))
    assert await door.read(partial(endpoints.listing, workspace="other")) == []


async def test_nothing_is_written_for_an_endpoint_that_is_disabled(door, add, tell):
    await add(enabled=False)
    await tell()
    assert await rows(door, DeliveryRow) == []
    assert len(await rows(door, EventRow)) == 1
