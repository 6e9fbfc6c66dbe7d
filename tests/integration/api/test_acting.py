"""What is done to executions over HTTP: waiting for them, deciding, and the same for many."""

import asyncio

import pytest

from codex32.kernel.ids import new_id
from codex32.kernel.models import ExecutionRow, StepRow

EXECUTE = "/api/v1/bots/ping/execute"
BULK = ("executions/bulk/cancel", "executions/bulk/retry", "dead-letters/bulk/dismiss")


@pytest.fixture(autouse=True)
def _bot(add_bot):
    add_bot("ping", inputs={"n": {"type": "integer", "default": 1}})


async def put(runtime, **values):
    """Change all executions that there are."""
    await runtime.door.write(ExecutionRow.update(**values).execute)


async def started(api, count=1, **arguments):
    return [(await api("POST", EXECUTE, **arguments)).json["id"] for _ in range(count)]


async def audited(api):
    return [
        (each["action"], each["subject"])
        for each in (await api("GET", "/api/v1/audit")).json["items"]
    ]


async def test_whoever_waits_is_given_the_result_once_it_is_there(api, runtime):
    waiting = asyncio.create_task(api("POST", f"{EXECUTE}?wait=60"))
    while not (await api("GET", "/api/v1/executions")).json["items"]:
        await asyncio.sleep(0.01)
    await put(runtime, status="succeeded", output='{"a":1}', finished_at=runtime.clock.micros())
    answer = await waiting
    assert (answer.status, answer.json["status"], answer.json["output"]) == (
        200,
        "succeeded",
        {"a": 1},
    )
    assert answer.headers["Location"].endswith(answer.json["id"])


async def test_whoever_has_waited_long_enough_is_told_where_to_look(api):
    answer = await api("POST", f"{EXECUTE}?wait=0.05")
    assert (answer.status, answer.json["held"]) == (202, False)
    assert (await api("POST", f"{EXECUTE}?wait=61")).status == 422


async def test_the_bot_may_stand_in_the_body(api):
    answer = await api("POST", "/api/v1/executions", json={"bot": "ping", "inputs": {"n": 2}})
    assert answer.status == 202
    assert (await api("GET", answer.headers["Location"])).json["inputs"] == {"n": 2}
    assert (await api("POST", "/api/v1/executions", json={"bot": "pong"})).status == 404
    assert (await api("POST", "/api/v1/executions", json={})).status == 422


async def test_under_one_key_one_thing_is_asked_for(api, add_bot):
    await asyncio.to_thread(add_bot, "pong")
    key = {"Idempotency-Key": "k"}
    first = await api("POST", EXECUTE, json={"inputs": {"n": 2}}, headers=key)
    again = await api("POST", EXECUTE, json={"inputs": {"n": 2}}, headers=key)
    assert (again.json["id"], again.json["repeated"]) == (first.json["id"], True)
    for path, body in ((EXECUTE, {"inputs": {"n": 3}}), ("/api/v1/bots/pong/execute", {})):
        other = await api("POST", path, json=body, headers=key)
        assert (other.status, other.json["code"]) == (409, "idempotency-conflict")


@pytest.mark.parametrize("word", ["data", "definition", "code", "steps", "image", "argv", "env"])
async def test_nobody_brings_a_definition_of_their_own(api, word):
    answer = await api("POST", EXECUTE, json={"inputs": {}, word: {"steps": []}})
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "unknown-key")


async def test_faults_of_inputs_do_not_quote_them(api):
    answer = await api("POST", EXECUTE, json={"inputs": {"n": "hunter2", "other": "hunter3"}})
    assert answer.status == 422
    assert {fault["path"] for fault in answer.json["errors"]} == {"n", "other"}
    assert "hunter" not in answer.text


async def test_the_oldest_come_first_on_request(api):
    ids = await started(api, 3)
    newest = await api("GET", "/api/v1/executions?limit=2")
    assert [each["id"] for each in newest.json["items"]] == ids[:0:-1]
    oldest = await api("GET", "/api/v1/executions?limit=2&sort=created_at")
    assert [each["id"] for each in oldest.json["items"]] == ids[:2]
    rest = f"/api/v1/executions?limit=2&sort=created_at&cursor={oldest.json['next']}"
    assert [each["id"] for each in (await api("GET", rest)).json["items"]] == ids[2:]
    assert (await api("GET", "/api/v1/executions?sort=bot;drop")).status == 422


async def test_what_nobody_can_tell_is_decided(api, runtime):
    (execution,) = await started(api)
    await put(runtime, status="waiting", ready_at=None)
    await runtime.door.write(
        StepRow.insert(execution_id=execution, step="pay", status="unknown", effect="once").execute
    )
    url = f"/api/v1/executions/{execution}/resolve"
    assert (await api("POST", url, json={"decision": "maybe"})).status == 422
    missed = await api("POST", url, json={"decision": "sent", "step": "other"})
    assert (missed.status, missed.json["code"]) == (409, "invalid-transition")
    assert (await api("POST", url, json={"decision": "fail", "output": 1})).status == 422
    answer = await api("POST", url, json={"decision": "sent", "output": {"id": "ch_1"}})
    assert answer.json["steps"] == [{"step": "pay", "item": None}]
    steps = (await api("GET", f"/api/v1/executions/{execution}/steps")).json["items"]
    assert [(each["step"], each["output"]) for each in steps] == [("pay", {"id": "ch_1"})]
    assert ("execution.resolved", execution) in await audited(api)
    assert (await api("GET", f"/api/v1/executions/{execution}")).json["status"] == "queued"


async def test_one_that_is_not_theirs_spoils_a_request_for_many(api):
    ids = await started(api, 2)
    await api("POST", "/api/v1/workspaces", json={"name": "lab"})
    lab = {"X-Workspace": "lab"}
    bot = {"name": "ping", "type": "set", "with": {"values": {}}}
    await api("POST", "/api/v1/bots", json=bot, headers=lab)
    theirs = (await api("POST", EXECUTE, headers=lab)).json["id"]
    for strange in (theirs, new_id("exe")):
        for path in (
            "executions/bulk/cancel",
            "executions/bulk/retry",
            "dead-letters/bulk/dismiss",
        ):
            for dry in (True, False):
                body = {"ids": [*ids, strange], "dry_run": dry}
                refused = await api("POST", f"/api/v1/{path}", json=body)
                assert (refused.status, refused.json["code"]) == (404, "execution-not-found")
    # Nothing was done to the others, nor to that one.
    for each, headers in ((ids[0], {}), (ids[1], {}), (theirs, lab)):
        read = await api("GET", f"/api/v1/executions/{each}", headers=headers)
        assert read.json["status"] == "queued"


async def test_many_are_cancelled_each_as_if_it_were_alone(api, runtime):
    ids = await started(api, 3)
    body = {"ids": [*ids, ids[0]]}
    looked = await api("POST", "/api/v1/executions/bulk/cancel", json={**body, "dry_run": True})
    assert (looked.json["done"], looked.json["refused"]) == (3, 0)
    assert (await api("GET", f"/api/v1/executions/{ids[0]}")).json["status"] == "queued"
    answer = await api("POST", "/api/v1/executions/bulk/cancel", json=body)
    assert (answer.json["done"], answer.json["refused"]) == (3, 0)
    assert [each["code"] for each in answer.json["items"]] == [None] * 3
    assert {("execution.cancelled", each) for each in ids} <= set(await audited(api))
    again = await api("POST", "/api/v1/executions/bulk/cancel", json={"ids": ids})
    assert {each["code"] for each in again.json["items"]} == {"invalid-transition"}
    assert (await api("GET", f"/api/v1/executions/{ids[0]}")).json["status"] == "cancelled"


async def test_many_are_retried_or_dismissed_by_what_they_have_in_common(api, runtime):
    ids = await started(api, 2)
    over = {"cause": "error", "finished_at": runtime.clock.micros(), "ready_at": None}
    await put(runtime, status="failed", **over)
    fitting = {"filter": {"bot": "ping", "status": ["failed"]}}
    retried = await api("POST", "/api/v1/executions/bulk/retry", json=fitting)
    assert retried.json["done"] == 2
    assert all(each["retry"] for each in retried.json["items"])
    assert {("execution.retried", each) for each in ids} <= set(await audited(api))
    await put(runtime, status="failed", **over)
    gone = await api("POST", "/api/v1/dead-letters/bulk/dismiss", json={**fitting, "note": "old"})
    assert (gone.json["done"], gone.json["more"]) == (4, False)
    assert (await api("GET", "/api/v1/dead-letters")).json["items"] == []


async def test_a_filter_without_a_status_means_what_something_can_be_done_to(api, runtime):
    over = {"finished_at": runtime.clock.micros(), "ready_at": None}
    await started(api, 1)
    await put(runtime, status="succeeded", **over)
    (opened,) = await started(api, 1)
    every = {"filter": {"bot": "ping"}}
    for path in BULK[1:]:
        answer = await api("POST", f"/api/v1/{path}", json=every)
        assert (answer.json["done"], answer.json["items"]) == (0, [])
    cancelled = await api("POST", f"/api/v1/{BULK[0]}", json=every)
    assert [(each["id"], each["done"]) for each in cancelled.json["items"]] == [(opened, True)]
    again = await api("POST", f"/api/v1/{BULK[0]}", json=every)
    assert (again.json["done"], again.json["refused"]) == (0, 0)


@pytest.mark.parametrize("body", [{}, {"ids": [], "filter": {}}, {"ids": ["x"]}, {"ids": "all"}])
async def test_a_choice_that_is_none_is_refused(api, body):
    for path in BULK:
        assert (await api("POST", f"/api/v1/{path}", json=body)).status == 422
