"""``Idempotency-Key`` on what makes something: asked twice, done once, answered alike."""

import asyncio
import json

import pytest

from codex32.api.application import all_operations
from codex32.kernel.safe_rows import DataKeyRow, RequestRow
from codex32.services.safe import requests

BOT = {"name": "sum", "type": "set", "with": {"values": {}}}
HOOK = {"url": "https://example.com/hook", "events": ["custom.*"]}


async def made(api, path, body, key="k-1", **more):
    headers = {"Idempotency-Key": key, **more.pop("headers", {})}
    return await api("POST", f"/api/v1/{path}", json=body, headers=headers, **more)


@pytest.mark.parametrize(
    ("path", "body", "listed"),
    [
        ("bots", BOT, "bots"),
        ("webhooks", HOOK, "webhooks"),
        ("users", {"email": "a@example.com", "username": "ann"}, "users"),
        ("workspaces", {"name": "lab"}, "workspaces"),
    ],
)
async def test_asking_twice_is_asking_once_and_answered_alike(api, path, body, listed):
    before = len((await api("GET", f"/api/v1/{listed}")).json["items"])
    first, again = await made(api, path, body), await made(api, path, body)
    assert (first.status, again.status) == (201, 201)
    assert again.text == first.text
    assert again.headers.get("Location") == first.headers.get("Location")
    assert again.headers.get("ETag") == first.headers.get("ETag")
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len((await api("GET", f"/api/v1/{listed}")).json["items"]) == before + 1


async def test_a_secret_that_is_shown_once_is_answered_again_and_stands_in_no_row(
    api, runtime, people
):
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    body = {"name": "a program", "scopes": ["bots.read"]}
    first = await made(api, "auth/keys", body, token=token)
    again = await made(api, "auth/keys", body, token=token)
    assert (again.status, again.json["key"]) == (201, first.json["key"])
    hook = (await made(api, "webhooks", HOOK, key="k-2")).json
    rows = await runtime.door.read(lambda: json.dumps(list(RequestRow.select().dicts())))
    for secret in (first.json["key"], hook["secret"], "k-1", "k-2"):
        assert secret not in rows
    scopes = await runtime.door.read(lambda: {row.scope for row in DataKeyRow.select()})
    assert "requests" in scopes


async def test_under_one_key_nothing_else_is_asked_for(api):
    await made(api, "webhooks", HOOK)
    for path, body in (("webhooks", {**HOOK, "description": "x"}), ("bots", BOT)):
        other = await made(api, path, body)
        assert (other.status, other.json["code"]) == (409, "idempotency-conflict")
    assert len((await api("GET", "/api/v1/webhooks")).json["items"]) == 1
    faulty = await made(api, "bots", BOT, key="x" * 300)
    assert faulty.status == 422


async def test_of_many_that_come_together_one_is_carried_out(api):
    answers = await asyncio.gather(*(made(api, "webhooks", HOOK) for _ in range(20)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.json["id"] for answer in answers if answer.status == 201}) == 1
    refused = [answer for answer in answers if answer.status == 409]
    assert {answer.json["code"] for answer in refused} <= {"request-under-way"}
    assert {answer.headers.get("Retry-After") for answer in refused} <= {"1"}
    assert len((await api("GET", "/api/v1/webhooks")).json["items"]) == 1


async def test_keys_belong_to_their_senders_and_to_a_workspace(api):
    await api("POST", "/api/v1/workspaces", json={"name": "lab"})
    here = await made(api, "webhooks", HOOK)
    there = await made(api, "webhooks", HOOK, headers={"X-Workspace": "lab"})
    assert (there.status, there.json["id"] != here.json["id"]) == (201, True)


async def test_what_was_refused_may_be_asked_for_anew(api):
    refused = await made(api, "webhooks", {**HOOK, "url": "ftp://x"})
    assert refused.status == 422
    async with asyncio.timeout(60):
        # Its claim is let go of behind the answer.
        while (answer := await made(api, "webhooks", HOOK)).status == 409:
            await asyncio.sleep(0.01)
    assert answer.status == 201


async def test_what_a_process_that_died_put_down_is_never_done_again_under_its_key(runtime):
    asked = requests.Asked("default", "a digest", "a request")
    door, vault, now = runtime.door, runtime.vault, runtime.clock.micros()
    assert await door.write(lambda: requests.claim(vault, asked, now)) is None
    soon, late = now + requests.UNDER_WAY_MICROS, now + requests.UNDER_WAY_MICROS + 1
    with pytest.raises(requests.RequestUnderWay):
        await door.write(lambda: requests.claim(vault, asked, soon))
    with pytest.raises(requests.RequestUnsure):
        await door.write(lambda: requests.claim(vault, asked, late))
    # It was only slow.
    await door.write(lambda: requests.answered(vault, asked, {"a": 1}, late))
    assert await door.write(lambda: requests.claim(vault, asked, late)) == {"a": 1}
    assert await requests.prune(door, now + requests.KEPT_MICROS) == 0
    assert await requests.prune(door, now + requests.KEPT_MICROS + 1) == 1


async def test_an_answer_goes_with_its_workspace(api):
    lab = {"X-Workspace": "lab"}
    answers = []
    for _ in range(2):
        await api("POST", "/api/v1/workspaces", json={"name": "lab"})
        answers.append(await made(api, "webhooks", HOOK, headers=lab))
        await api("DELETE", f"/api/v1/webhooks/{answers[-1].json['id']}", headers=lab)
        assert (await api("DELETE", "/api/v1/workspaces/lab")).status == 204
    former, latter = answers
    assert "Idempotent-Replayed" not in latter.headers
    assert latter.json["secret"] != former.json["secret"]


async def test_a_test_and_a_replay_are_sent_once_under_one_key(api):
    hook = f"webhooks/{(await made(api, 'webhooks', HOOK)).json['id']}"
    first, again = [await made(api, f"{hook}/test", None, key="k-2") for _ in range(2)]
    assert (first.status, again.json) == (202, first.json)
    listed = (await api("GET", f"/api/v1/{hook}/deliveries")).json["items"]
    assert [each["id"] for each in listed] == [first.json["id"]]


async def test_all_that_makes_something_takes_a_key(runtime):
    """Starting and publishing keep theirs with what they make; strangers have none."""
    same = {"executions.retry", "executions.cancel", "bots.backfill"}  # they find what was made
    for operation in all_operations(runtime):
        route = operation.route
        if route.method == "POST" and route.status in (201, 202) and route.policy != "public":
            own = route.body is not None and "idempotency_key" in route.body.model_fields
            assert route.keyed or own or operation.id in same, operation.id
