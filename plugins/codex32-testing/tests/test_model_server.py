"""The server on this machine speaks and misbehaves as the services do."""

import asyncio
import base64
import io
import json
import math
import signal
import struct
import subprocess
import sys
import time

import aiohttp
import pytest

from codex32_testing.model_server import ABSENT, FAULTS, Carriage, ModelServer, Tokens, Turn

CHAT = {"model": "small", "messages": [{"role": "user", "content": "Say good morning."}]}
MESSAGE = {**CHAT, "max_tokens": 100}
WIRES = {"/v1/chat/completions": CHAT, "/v1/messages": MESSAGE}


async def ask(server, path, body=None, *, key=None, limit=10.0, method="POST"):
    headers = {
        "Authorization": f"Bearer {key or server.key}",
        "anthropic-version": "2026-10-21",
    }
    time_limit = aiohttp.ClientTimeout(total=limit)
    async with (
        aiohttp.ClientSession(timeout=time_limit, headers=headers) as session,
        session.request(method, server.url + path, data=_body(body)) as answer,
    ):
        raw = await answer.read()
        kind = answer.headers.get("Content-Type", "")
        return answer.status, json.loads(raw) if "json" in kind else raw.decode()


def _body(body):
    return None if body is None else io.BytesIO(json.dumps(body).encode())


async def ended(server):
    """How the requests ended, once they all did."""
    until = time.monotonic() + 60
    while not all(asked.ended for asked in server.asked) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return [asked.ended for asked in server.asked]


def events(text):
    """The data of a stream's events."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data")]
    return [json.loads(line) if line != "[DONE]" else line for line in lines]


async def test_a_chat_says_back_what_was_said_and_counts_it(model_server):
    status, answer = await ask(model_server, "/v1/chat/completions", CHAT)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "Say good morning."
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] == 6  # "user" is a text, too
    assert answer["usage"]["total_tokens"] == 6 + answer["usage"]["completion_tokens"]
    (asked,) = model_server.asked
    assert asked.billed == Tokens(fresh=6, output=5)
    assert await ended(model_server) == ["answered"]
    assert model_server.billed() == 6 * 100 + 5 * 500


async def test_the_wires_count_the_cache_each_in_their_own_way(model_server):
    tokens = Tokens(fresh=10, cached=100, written=20, output=30, reasoning=12)
    model_server.always(Turn(text="hi", tokens=tokens))
    _, chat = await ask(model_server, "/v1/chat/completions", CHAT)
    _, message = await ask(model_server, "/v1/messages", MESSAGE)
    assert chat["usage"]["prompt_tokens"] == 130
    assert chat["usage"]["prompt_tokens_details"]["cached_tokens"] == 100
    assert chat["usage"]["completion_tokens_details"]["reasoning_tokens"] == 12
    assert message["usage"]["input_tokens"] == 10
    assert message["usage"]["cache_read_input_tokens"] == 100
    assert message["usage"]["cache_creation_input_tokens"] == 20
    assert message["usage"]["output_tokens_details"]["thinking_tokens"] == 12


async def test_a_chat_streams_with_usage_only_if_asked(model_server):
    streamed = {**CHAT, "stream": True}
    _, plain = await ask(model_server, "/v1/chat/completions", streamed)
    counted = {**streamed, "stream_options": {"include_usage": True}}
    _, whole = await ask(model_server, "/v1/chat/completions", counted)
    assert not any("usage" in event for event in events(plain)[:-1])
    assert events(whole)[-1] == "[DONE]"
    assert events(whole)[-2]["choices"] == []
    assert events(whole)[-2]["usage"]["prompt_tokens"] == 6
    said = [event["choices"][0]["delta"].get("content") or "" for event in events(plain)[:-1]]
    assert "".join(said) == "Say good morning."


async def test_a_message_streams_with_its_events_in_order(model_server):
    model_server.script(Turn(text="hello there you", tool_calls=[("look_up", {"city": "Bonn"})]))
    _, told = await ask(model_server, "/v1/messages", {**MESSAGE, "stream": True})
    kinds = [event["type"] for event in events(told)]
    assert kinds[:3] == ["message_start", "ping", "content_block_start"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    parts = [
        event["delta"]["partial_json"]
        for event in events(told)
        if event.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert json.loads("".join(parts)) == {"city": "Bonn"}


async def test_a_schema_is_answered_and_limits_cut(model_server):
    schema = {
        "type": "object",
        "properties": {"line": {"type": "string"}, "sure": {"type": "boolean"}},
        "required": ["line", "sure"],
        "additionalProperties": False,
    }
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "a", "strict": True, "schema": schema},
    }
    _, answer = await ask(
        model_server, "/v1/chat/completions", {**CHAT, "response_format": wanted}
    )
    said = json.loads(answer["choices"][0]["message"]["content"])
    assert said == {"line": "Say good morning.", "sure": False}
    _, cut = await ask(model_server, "/v1/messages", {**MESSAGE, "max_tokens": 1})
    assert (cut["content"][0]["text"], cut["stop_reason"]) == ("Say ", "max_tokens")


@pytest.mark.parametrize("path", WIRES)
async def test_a_wrong_key_is_refused_and_told_back(model_server, path):
    status, answer = await ask(model_server, path, WIRES[path], key="sk-wrong-1234567890")
    assert status == 401
    assert "sk-wrong-1234567890" in answer["error"]["message"]
    assert model_server.asked[0].billed is None
    assert "sk-wrong" not in repr(model_server.asked)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/chat/completions", {"model": "m", "messages": []}, "messages"),
        ("/v1/chat/completions", {**CHAT, "model": "gpt-5-mini", "max_tokens": 9}, "max_compl"),
        ("/v1/chat/completions", {**CHAT, "model": "gpt-5-mini", "temperature": 0}, "default (1)"),
        ("/v1/chat/completions", {**CHAT, "stream_options": {"include_usage": True}}, "stream"),
        ("/v1/chat/completions", {**CHAT, "response_format": {"type": "json_object"}}, "'json'"),
        (
            "/v1/chat/completions",
            {
                **CHAT,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}},
                },
            },
            "additionalProperties",
        ),
        (
            "/v1/chat/completions",
            {"model": "m", "messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]},
            "role 'tool'",
        ),
        ("/v1/messages", CHAT, "max_tokens"),
        (
            "/v1/messages",
            {**MESSAGE, "messages": [{"role": "system", "content": "x"}]},
            "Unexpected role",
        ),
        (
            "/v1/messages",
            {**MESSAGE, "messages": [*CHAT["messages"], {"role": "assistant", "content": "x"}]},
            "prefill",
        ),
        ("/v1/messages", {**MESSAGE, "messages": [{"role": "user", "content": ""}]}, "non-empty"),
        (
            "/v1/messages",
            {
                **MESSAGE,
                "output_config": {
                    "format": {
                        "type": "json_schema",
                        "schema": {"type": "integer", "minimum": 1},
                    }
                },
            },
            "minimum",
        ),
        ("/v1/embeddings", {"model": "m", "input": ["a", ""]}, "must not be empty"),
        ("/v1/embeddings", {"model": "m", "input": ["x" * 40_000]}, "maximum context"),
        ("/v1/embeddings", {"model": "m", "input": ["x" * 24_000] * 51}, "per request"),
        ("/v1/embeddings", {"model": "m", "input": ["x"] * 2049}, "at most 2048"),
    ],
)
async def test_requests_that_the_service_would_refuse_are_refused(model_server, path, body, said):
    status, answer = await ask(model_server, path, body)
    assert status == 400
    assert said in answer["error"]["message"]
    assert model_server.asked[0].billed is None


async def test_models_are_listed_and_unknown_ones_are_gone():
    with ModelServer(models=["small"]) as server:
        _, listed = await ask(server, "/v1/models", method="GET")
        status, answer = await ask(server, "/v1/chat/completions", {**CHAT, "model": "large"})
    assert [model["id"] for model in listed["data"]] == ["small"]
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_vectors_have_length_one_and_words_make_them_near(model_server):
    texts = ["the law of the sea", "law of the land", "bread and butter"]
    body = {"model": "text-embedding-3-small", "input": texts, "dimensions": 64}
    _, answer = await ask(model_server, "/v1/embeddings", body)
    sea, land, bread = (entry["embedding"] for entry in answer["data"])
    assert math.hypot(*sea) == pytest.approx(1)
    assert dot(sea, land) > 0.3
    assert dot(sea, bread) < 0.3
    _, packed = await ask(model_server, "/v1/embeddings", {**body, "encoding_format": "base64"})
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack("<64f", raw)) == pytest.approx(sea, abs=1e-6)


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_embeddings_go_wrong_as_told(model_server):
    body = {"model": "m", "input": ["a", "b", "c"], "dimensions": 8}
    model_server.script(
        Turn(vectors="short"), Turn(vectors="shuffled"), Turn(vectors="wrong-size")
    )
    answers = [(await ask(model_server, "/v1/embeddings", body))[1]["data"] for _ in range(3)]
    assert len(answers[0]) == 2
    assert [entry["index"] for entry in answers[1]] == [1, 0, 2]
    assert {len(entry["embedding"]) for entry in answers[2]} == {4}


async def test_turns_are_taken_by_model_path_and_order(model_server):
    model_server.always(Turn(text="always"))
    model_server.script(Turn(text="once"), model="small")
    model_server.script(Turn(error="overloaded"), path="/v1/messages")
    chats = [await ask(model_server, "/v1/chat/completions", CHAT) for _ in range(2)]
    assert [answer["choices"][0]["message"]["content"] for _, answer in chats] == [
        "once",
        "always",
    ]
    assert (await ask(model_server, "/v1/messages", MESSAGE))[0] == 529
    model_server.ask(lambda path, body: Turn(text=body["model"]) if "chat" in path else None)
    assert "small" in str(await ask(model_server, "/v1/chat/completions", CHAT))


async def test_errors_have_the_words_of_each_wire(model_server):
    model_server.always(FAULTS["spend_limit"])
    _, chat = await ask(model_server, "/v1/chat/completions", CHAT)
    status, message = await ask(model_server, "/v1/messages", MESSAGE)
    assert chat["error"]["code"] == "enforced_spend_limit_reached"
    assert status == 429
    assert message["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}


async def test_connections_are_dropped_and_cut(model_server):
    model_server.script(FAULTS["drop"], FAULTS["cut"], FAULTS["cut"])
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask(model_server, "/v1/chat/completions", CHAT)
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(model_server, "/v1/chat/completions", CHAT)
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(model_server, "/v1/messages", {**MESSAGE, "stream": True})
    assert await ended(model_server) == ["cut"] * 3
    # What was generated is paid for, whatever became of it.
    assert [asked.billed is not None for asked in model_server.asked] == [False, True, True]


@pytest.mark.parametrize("fault", ["silence", "trickle"])
async def test_who_waits_no_longer_is_seen_to_leave(model_server, fault):
    model_server.script(FAULTS[fault])
    with pytest.raises(asyncio.TimeoutError):
        await ask(model_server, "/v1/chat/completions", CHAT, limit=0.3)
    assert await ended(model_server) == ["left"]


async def test_streams_break_off_in_the_middle(model_server):
    model_server.script(
        FAULTS["mid_stream_error"],
        Turn(carriage=Carriage(done=False)),
        Turn(usage=ABSENT),
    )
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    broken, endless, unpaid = [
        events((await ask(model_server, "/v1/chat/completions", body))[1]) for _ in range(3)
    ]
    assert broken[-1]["error"]["message"] == "Overloaded"
    assert endless[-1] != "[DONE]"
    assert not any(event.get("usage") for event in unpaid[:-1])


async def test_it_runs_as_a_process_that_is_told_what_to_do():
    command = [sys.executable, "-m", "codex32_testing.model_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline())
            async with aiohttp.ClientSession() as session:

                async def post(url, body, **options):
                    async with session.post(url, json=body, **options) as answer:
                        return answer.status, await answer.text()

                control, chat = told["control"], told["url"] + "/v1/chat/completions"
                key = {"Authorization": f"Bearer {told['key']}"}
                turns = {"turns": ["overloaded", {"text": "yes", "tokens": {"output": 3}}]}
                assert (await post(control + "/script", turns))[0] == 200
                wrong = await post(control + "/script", {"turns": ["nonsuch"]})
                assert wrong == (400, "no such turn: 'nonsuch'")
                statuses = [(await post(chat, CHAT, headers=key))[0] for _ in range(2)]
                async with session.get(control + "/log") as answer:
                    log = await answer.json()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert statuses == [529, 200]
    assert [asked["status"] for asked in log["asked"]] == [529, 200]
    assert log["billed_nano_usd"] == 3 * 500
