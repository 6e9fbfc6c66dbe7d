import base64
from datetime import timedelta
from types import SimpleNamespace

import pytest

from codex32 import Effect, Failed, ProviderUnavailable, StepFault, Succeeded
from codex32.builtin.bot_types.http import HttpBotType

URL = "https://api.example.com/things"


@pytest.fixture
def http(clock):
    return HttpBotType(clock)


def unreachable(code):
    return ProviderUnavailable("no", code=code)


async def test_a_json_answer_becomes_data(http, context):
    context.http.answers({"a": [1]}, etag="x")
    outcome = await http.run(context, {"url": URL})
    assert outcome == Succeeded(
        {
            "status": 200,
            "headers": {"content-type": "application/json", "etag": "x"},
            "body": {"a": [1]},
            "url": URL,
        }
    )


@pytest.mark.parametrize("body", ["NaN", "{", "[" * 100_000])
async def test_what_claims_to_be_json_and_is_not_stays_text(http, context, body):
    context.http.answers(body, content_type="application/problem+json; charset=utf-8")
    outcome = await http.run(context, {"url": URL})
    assert outcome.output["body"] == body


async def test_json_that_was_asked_for_and_is_none_is_a_fault(http, context):
    context.http.answers("<html>")
    with pytest.raises(StepFault, match="no JSON") as caught:
        await http.run(context, {"url": URL, "parse": "json"})
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("parse", "body"),
    [("text", '{"a": 1}'), ("base64", base64.b64encode(b'{"a": 1}').decode())],
)
async def test_a_body_is_read_as_it_was_asked_for(http, context, parse, body):
    context.http.answers({"a": 1})
    outcome = await http.run(context, {"url": URL, "parse": parse})
    assert outcome.output["body"] == body


async def test_everything_given_is_sent(http, context):
    context.http.answers()
    await http.run(
        context,
        {
            "url": URL,
            "method": "POST",
            "headers": {"X-A": "1"},
            "query": {"q": [1, 2]},
            "json": None,
            "auth": {"bearer": "t0ken"},
            "follow": True,
            "max_bytes": "1KiB",
            "timeout": "5s",
        },
    )
    (sent,) = context.http.sent
    assert sent.headers == {
        "Authorization": "Bearer t0ken",
        "X-A": "1",
        "Idempotency-Key": "key-1",
    }
    assert (sent.has_json, sent.json, sent.query) == (True, None, {"q": [1, 2]})
    assert (sent.follow, sent.max_bytes, sent.timeout_seconds) == (5, 1024, 5.0)


async def test_a_name_and_a_password_become_basic_credentials(http, context):
    context.http.answers()
    await http.run(context, {"url": URL, "auth": {"basic": {"username": "ä", "password": "b"}}})
    header = context.http.sent[0].headers["Authorization"]
    assert base64.b64decode(header.removeprefix("Basic ")) == "ä:b".encode()


async def test_a_request_never_lasts_longer_than_its_step(http, context, clock):
    context.http.answers()
    context.deadline_at = clock.now() + timedelta(seconds=2)
    await http.run(context, {"url": URL})
    assert context.http.sent[0].timeout_seconds == 2.0


@pytest.mark.parametrize(
    ("expect", "status"),
    [("2xx", 204), (404, 404), ("404", 404), ([200, "4xx"], 418), ([200, 404], 404)],
)
async def test_an_expected_status_is_a_success(http, context, expect, status):
    context.http.answers(status=status)
    outcome = await http.run(context, {"url": URL, "expect": expect})
    assert outcome.output["status"] == status


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (404, False), (302, False), (408, True), (425, True), (429, True), (503, True)],
)
async def test_other_statuses_fail_and_say_whether_trying_again_can_help(
    http, context, status, retryable
):
    context.http.answers("the reason", status=status)
    outcome = await http.run(context, {"url": f"{URL}?token=x"})
    assert isinstance(outcome, Failed)
    assert outcome.retryable is retryable
    assert outcome.detail == {"status": status, "body": "the reason"}
    assert outcome.message == f"GET {URL} answered {status}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("Sun, 01 Mar 99999999999999 12:00:30 GMT", None),
        ("-3", None),
        ("²", None),
    ],
)
async def test_the_wish_to_wait_is_kept(http, context, header, seconds):
    context.http.answers(status=429, retry_after=header)
    outcome = await http.run(context, {"url": URL})
    assert outcome.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("params", "effect"),
    [
        ({}, Effect.NONE),
        ({"method": "HEAD"}, Effect.NONE),
        ({"method": "POST"}, Effect.ONCE),
        ({"method": "PUT"}, Effect.ONCE),
        ({"method": "DELETE", "headers": {"idempotency-KEY": "k"}}, Effect.IDEMPOTENT),
    ],
)
def test_methods_that_change_something_are_effects(http, params, effect):
    assert http.effect({"url": URL, **params}) is effect


@pytest.mark.parametrize("code", ["http-cut", "http-timeout"])
async def test_an_effect_without_an_answer_is_unknown(http, context, code):
    context.http.script.append(unreachable(code))
    outcome = await http.run(context, {"url": URL, "method": "POST"})
    assert (outcome.unknown, outcome.code) == (True, code)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"method": "POST"}, "http-unreachable"),
        ({}, "http-cut"),
        ({"method": "POST", "headers": {"Idempotency-Key": "k"}}, "http-timeout"),
    ],
)
async def test_what_was_surely_not_done_or_may_be_repeated_is_just_retryable(
    http, context, params, code
):
    context.http.script.append(unreachable(code))
    with pytest.raises(ProviderUnavailable) as caught:
        await http.run(context, {"url": URL, **params})
    assert caught.value.retryable


@pytest.mark.parametrize(("status", "unknown"), [(500, False), (502, True), (504, True)])
async def test_an_effect_lost_behind_a_gateway_is_unknown(http, context, status, unknown):
    context.http.answers(status=status)
    outcome = await http.run(context, {"url": URL, "method": "POST"})
    assert (outcome.retryable, outcome.unknown) == (True, unknown)


async def test_pages_are_followed_to_the_last(http, context):
    context.http.answers({"items": [1], "next": "/things?page=2"})
    context.http.answers({"items": [2], "next": None})
    context.evaluator = lambda expression, response: response["body"][expression]
    outcome = await http.run(context, {"url": URL, "query": {"a": 1}, "page": {"next": "next"}})
    assert [body["items"] for body in outcome.output["body"]] == [[1], [2]]
    assert [(r.url, r.query) for r in context.http.sent] == [
        (URL, {"a": 1}),
        (f"{URL}?page=2", {}),
    ]


async def test_pages_end_at_their_limit_and_say_so(http, context):
    for _ in range(3):
        context.http.answers({})
    context.evaluator = lambda expression, response: "?more"
    page = {"next": "x", "max_pages": 2}
    outcome = await http.run(context, {"url": URL, "page": page})
    assert len(outcome.output["body"]) == 2
    assert context.lines == ["stopped after 2 pages (page.max_pages)"]


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example", 7])
async def test_pages_stay_on_their_host(http, context, following):
    context.http.answers({})
    context.evaluator = lambda expression, response: following
    with pytest.raises(StepFault, match=r"page\.next"):
        await http.run(context, {"url": URL, "page": {"next": "x"}})
    assert len(context.http.sent) == 1


async def test_a_page_that_fails_fails_the_step(http, context):
    context.http.answers(status=500)
    outcome = await http.run(context, {"url": URL, "page": {"next": "x"}})
    assert (outcome.code, outcome.unknown) == ("http-500", False)


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": URL, "json": 1, "form": {}}, "form"),
        ({"url": URL, "method": "POST", "page": {"next": "x"}}, "page"),
        ({"url": URL, "max_bytes": "much"}, "max_bytes"),
    ],
)
def test_faults_are_found_when_the_file_is_read(http, params, path):
    assert [problem.path for problem in http.check(params)] == [path]


def test_expressions_are_let_through(http):
    assert http.check({"url": "${{ inputs.url }}", "max_bytes": "${{ inputs.most }}"}) == []


def test_the_response_of_an_expression_is_what_the_step_puts_out(http):
    properties = SimpleNamespace(**http.params_schema["properties"])
    assert properties.page["properties"]["next"]["variables"] == ["response"]
