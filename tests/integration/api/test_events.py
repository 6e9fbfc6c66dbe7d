"""Events over HTTP: publishing them once, listing them, and what is refused."""

import asyncio
import io

import pytest

from codex32.kernel.event_names import LONGEST_DATA, LONGEST_NAME
from codex32.kernel.models import EventRow

EVENTS = "/api/v1/events"


@pytest.fixture
def kept(runtime):
    """How many events are in the database."""
    return lambda: runtime.door.read(EventRow.select().count)


async def test_what_is_published_is_listed_newest_first(api):
    ids = []
    for n in range(3):
        told = await api("POST", EVENTS, json={"name": "custom.order.paid", "data": {"n": n}})
        assert (told.status, told.json["repeated"]) == (202, False)
        ids.append(told.json["id"])
    await api("POST", EVENTS, json={"name": "custom.order_lost"})

    page = (await api("GET", f"{EVENTS}?name=custom.order.*")).json

    assert sorted(each["id"] for each in page["items"]) == sorted(ids)
    assert [each["id"] for each in page["items"]] == sorted(ids, reverse=True)
    assert {each["data"]["n"] for each in page["items"]} == {0, 1, 2}
    assert {(each["delivered_at"], tuple(each["chain"])) for each in page["items"]} == {(None, ())}
    assert page["next"] is None


async def test_each_event_stands_on_exactly_one_page(api):
    names = ["custom.a", "custom.b"] * 4
    ids = [(await api("POST", EVENTS, json={"name": name})).json["id"] for name in names]
    for pattern, wanted in (("", ids), ("&name=custom.a", ids[::2])):
        found, cursor = [], ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = (await api("GET", f"{EVENTS}?limit=3{pattern}{more}")).json
            assert len(page["items"]) <= 3
            found += [each["id"] for each in page["items"]]
            cursor = page["next"]
        assert found == sorted(wanted, reverse=True)


@pytest.mark.parametrize("where", ["header", "body"])
async def test_publishing_again_with_the_same_key_is_publishing_once(api, kept, where):
    async def publish(key, data):
        body = {"name": "custom.paid", "data": data}
        if where == "body":
            return await api("POST", EVENTS, json={**body, "idempotency_key": key})
        return await api("POST", EVENTS, json=body, headers={"Idempotency-Key": key})

    answers = await asyncio.gather(*(publish("k1", 1) for _ in range(8)))
    other = await publish("k2", 0)
    conflict = await publish("k1", 2)

    assert {answer.status for answer in [*answers, other]} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sorted(answer.json["repeated"] for answer in answers) == [False] + [True] * 7
    assert not other.json["repeated"]
    assert (conflict.status, conflict.json["code"]) == (409, "idempotency-conflict")
    assert await kept() == 2


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({"name": "order.paid"}, "event-invalid", "write custom. and then letters"),
        ({"name": "execution.failed"}, "event-invalid", "told by the house itself"),
        ({"name": "custom."}, "event-invalid", "is no name for an event"),
        ({"name": "custom.a b"}, "event-invalid", "is no name for an event"),
        ({"name": "custom.a\x00"}, "event-invalid", "is no name for an event"),
        ({"name": "custom.*"}, "event-invalid", "is no name for an event"),
        ({"name": "custom.n", "data": "x" * LONGEST_DATA}, "event-invalid", "256 KiB"),
        ({"name": "custom." + "n" * LONGEST_NAME}, "request-invalid", "name"),
        ({"name": ""}, "request-invalid", "name"),
        ({"data": 1}, "request-invalid", "name"),
        ({"name": "custom.n", "date": 1}, "request-invalid", "date"),
        ({"name": "custom.n", "idempotency_key": " a"}, "request-invalid", "idempotency_key"),
    ],
)
async def test_what_cannot_be_published_is_refused_and_not_kept(api, kept, body, code, told):
    answer = await api("POST", EVENTS, json=body)
    assert (answer.status, answer.json["code"]) == (422, code)
    assert told in answer.text
    assert await kept() == 0


async def test_all_faults_of_a_request_are_told_at_once(api):
    answer = await api("POST", EVENTS, json={"date": 1, "idempotency_key": ""})
    paths = sorted(each["path"] for each in answer.json["errors"])
    assert paths == ["date", "idempotency_key", "name"]


async def test_a_body_that_is_too_long_is_refused_unread(api, kept):
    body = io.BytesIO(b'{"name": "custom.n", "data": "' + b"x" * 1024 * 1024 + b'"}')
    answer = await api("POST", EVENTS, data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 413
    assert await kept() == 0


async def test_the_longest_data_that_may_be_published_come_back_whole(api):
    data = "x" * (LONGEST_DATA - 2)
    assert (await api("POST", EVENTS, json={"name": "custom.n", "data": data})).status == 202
    (found,) = (await api("GET", EVENTS)).json["items"]
    assert found["data"] == data


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=x'--", "name=", "since=1"])
async def test_a_list_that_cannot_be_made_is_refused(api, query):
    answer = await api("GET", f"{EVENTS}?{query}")
    assert (answer.status, answer.json["code"]) == (422, "request-invalid")


async def test_data_may_be_any_json_or_nothing(api):
    values = [None, True, 0, 1.5, "", "zero \\u0000", [], {"": [{}]}]
    for value in values:
        told = await api("POST", EVENTS, json={"name": "custom.n", "data": value})
        assert told.status == 202
    items = (await api("GET", EVENTS)).json["items"]
    assert sorted(map(repr, (each["data"] for each in items))) == sorted(map(repr, values))
