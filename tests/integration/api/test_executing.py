"""Starting bots over HTTP: what is taken, what is refused; asking twice is asking once."""

import asyncio
import gzip
import io
import json

import pytest

from codex32.kernel.models import BotRow, ExecutionRow

EXECUTE = "/api/v1/bots/ping/execute"


@pytest.fixture(autouse=True)
def ping(add_bot):
    return add_bot("ping", inputs={"n": {"type": "integer", "default": 1}})


def rows(runtime):
    return runtime.door.read_now(lambda: list(ExecutionRow.select()))


async def test_an_execution_is_there_when_the_answer_comes(api, runtime):
    answer = await api("POST", EXECUTE, json={"inputs": {"n": 5}, "priority": 7})
    assert answer.status == 202
    assert answer.json["status_url"] == answer.headers["Location"]
    there = (await api("GET", answer.json["status_url"])).json
    assert (there["bot"], there["status"], there["inputs"]) == ("ping", "queued", {"n": 5})
    assert there["started_by"] == {
        "kind": "operator",
        "id": "operator",
        "name": "operator",
        "address": "127.0.0.1",
        "request": answer.headers["X-Request-Id"],
    }
    (row,) = await asyncio.to_thread(rows, runtime)
    assert (row.priority, json.loads(row.trigger)["caller"]) == (7, "operator")


async def test_no_body_means_the_defaults(api):
    answer = await api("POST", EXECUTE)
    assert (await api("GET", answer.json["status_url"])).json["inputs"] == {"n": 1}


async def test_fifty_at_once_with_one_key_are_one_execution(api, runtime):
    asked = [api("POST", EXECUTE, headers={"Idempotency-Key": "k 1"}) for _ in range(50)]
    answers = await asyncio.gather(*asked)
    assert {answer.status for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum(not answer.json["repeated"] for answer in answers) == 1
    assert len(await asyncio.to_thread(rows, runtime)) == 1


async def test_the_key_may_stand_in_the_body_but_not_say_otherwise_there(api):
    header = {"Idempotency-Key": "k"}
    first = await api("POST", EXECUTE, json={"idempotency_key": "k"})
    again = await api("POST", EXECUTE, json={"idempotency_key": "k"}, headers=header)
    assert (again.json["id"], again.json["repeated"]) == (first.json["id"], True)
    other = await api("POST", EXECUTE, json={"idempotency_key": "other"}, headers=header)
    assert (other.status, other.json["errors"][0]["path"]) == (422, "idempotency_key")


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "\u0000", "\ud800"])
async def test_a_key_that_no_header_could_carry_is_refused(api, key):
    answer = await api("POST", EXECUTE, json={"idempotency_key": key})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "idempotency_key")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{", "line 1, column 2"),
        (b"\xff{}", "no UTF-8"),
        (b'{"inputs":{"n":NaN}}', "not finite"),
        (b'{"inputs":{"n":1e999}}', "not finite"),
        (b'{"inputs":{"n":' + b"9" * 5000 + b"}}", "too large"),
        (b'{"inputs":' + b'{"a":' * 80 + b"1" + b"}" * 81, "levels"),
        (b"[" * 100_000, "levels"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_with_the_reason(api, body, fault):
    headers = {"Content-Type": "application/json"}
    answer = await api("POST", EXECUTE, data=body, headers=headers)
    assert (answer.status, answer.json["code"]) == (400, "body-malformed")
    assert fault in answer.json["detail"]


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
async def test_a_body_that_is_no_object_is_refused(api, body):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await api("POST", EXECUTE, data=body, headers=headers)).status == 422


async def test_all_faults_of_a_body_are_told_at_once_with_suggestions(api, runtime):
    body = {"input": {"password": "hunter2"}, "priority": "hunter2", "idempotency_key": 3}
    answer = await api("POST", EXECUTE, json=body)
    assert answer.status == 422
    told = {each["path"]: each["message"] for each in answer.json["errors"]}
    assert set(told) == {"input", "priority", "idempotency_key"}
    assert "did you mean 'inputs'?" in told["input"]
    assert "hunter2" not in answer.text
    assert await asyncio.to_thread(rows, runtime) == []


@pytest.mark.parametrize(
    "key", ["data", "definition", "code", "steps", "bot", "image", "argv", "env", "version_id"]
)
async def test_a_caller_brings_inputs_and_never_a_definition(api, runtime, key):
    assert (await api("POST", EXECUTE, json={key: {"type": "python"}})).status == 422
    assert await asyncio.to_thread(rows, runtime) == []


async def test_inputs_that_do_not_fit_are_all_named(api):
    answer = await api("POST", EXECUTE, json={"inputs": {"m": 1, "n": "x"}})
    assert (answer.status, answer.json["code"]) == (422, "inputs-invalid")
    assert {each["path"] for each in answer.json["errors"]} == {"m", "n"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
async def test_only_json_is_read(api, kind):
    answer = await api("POST", EXECUTE, data=b"{}", headers={"Content-Type": kind})
    assert (answer.status, answer.json["code"]) == (415, "media-type-unsupported")


async def test_a_body_above_the_limit_is_refused_packed_or_not(api):
    large = json.dumps({"inputs": {"text": "x" * 1024 * 1024}}).encode()
    headers = {"Content-Type": "application/json"}
    assert (await api("POST", EXECUTE, data=io.BytesIO(large), headers=headers)).status == 413
    headers["Content-Encoding"] = "gzip"
    assert (await api("POST", EXECUTE, data=gzip.compress(large), headers=headers)).status == 413


async def test_a_header_that_is_no_key_and_a_body_that_is_not_packed_are_refused(api):
    answer = await api("POST", EXECUTE, headers={"Idempotency-Key": "x" * 256})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "idempotency_key")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await api("POST", EXECUTE, data=b"no gzip at all", headers=headers)).status == 400


@pytest.mark.parametrize("packed", ["br", "zstd", "compress", "gzip, gzip"])
async def test_a_body_that_is_packed_otherwise_is_told_how_it_may_be(api, packed):
    headers = {"Content-Type": "application/json", "Content-Encoding": packed}
    refused = await api("POST", EXECUTE, data=b"{}", headers=headers)
    assert (refused.status, refused.json["code"]) == (415, "encoding-unsupported")
    assert refused.headers["Accept-Encoding"] == "gzip, deflate"


async def test_a_key_of_one_caller_is_none_of_anothers(api, people):
    tokens = []
    for name in ("anna", "bert"):
        await people.add(name, "user")
        tokens.append((await people.sign_in(name))["access_token"])
    headers = {"Idempotency-Key": "k"}
    asked = [await api("POST", EXECUTE, token=t, headers=headers) for t in [*tokens, *tokens]]
    assert [each.json["repeated"] for each in asked] == [False, False, True, True]
    assert asked[0].json["id"] == asked[2].json["id"] != asked[1].json["id"]
    other = await api("POST", EXECUTE, token=tokens[1], headers=headers, json={"inputs": {"n": 2}})
    assert (other.status, other.json["code"]) == (409, "idempotency-conflict")


async def test_an_unknown_bot_is_named_with_a_suggestion(api):
    answer = await api("POST", "/api/v1/bots/pin/execute")
    assert (answer.status, answer.json["code"]) == (404, "bot-not-found")
    assert "did you mean 'ping'?" in answer.json["detail"]


async def test_a_bot_that_cannot_run_is_a_conflict(api, runtime):
    def disable():
        BotRow.update(removed_at=1).where(BotRow.name == "ping").execute()

    await runtime.door.write(disable)
    answer = await api("POST", EXECUTE)
    assert (answer.status, answer.json["code"]) == (409, "bot-disabled")


class TestAGateThatIsFull:
    @pytest.fixture(autouse=True)
    def narrow(self, add_bot):
        add_bot("narrow", concurrency={"limit": 1, "when_full": "skip"})
        add_bot("patient", concurrency={"limit": 1})

    async def test_a_bot_that_skips_is_a_conflict(self, api):
        assert (await api("POST", "/api/v1/bots/narrow/execute")).status == 202
        answer = await api("POST", "/api/v1/bots/narrow/execute")
        assert (answer.status, answer.json["code"]) == (409, "concurrency-full")

    async def test_a_bot_that_queues_says_that_it_waits(self, api):
        held = [(await api("POST", "/api/v1/bots/patient/execute")).json["held"] for _ in "ab"]
        assert held == [False, True]
