import json
import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from codex32 import (
    EffectUnknown,
    ManualClock,
    Notification,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    Receipt,
)
from codex32.builtin.notifiers.log import LogNotifier
from codex32.builtin.notifiers.webhook import WebhookNotifier

URL = "https://hooks.example.com/T0P-SECRET"
NOTE = Notification("Disk full", title="Alert", data={"host": "a"}, idempotency_key="k-1")


async def test_log_writes_one_line(context, caplog):
    caplog.set_level(logging.INFO, "codex32.notify")
    await LogNotifier().send(NOTE, "", http=context.http, timeout_seconds=1)
    assert caplog.messages == ["Alert: Disk full"]
    assert LogNotifier.idempotent


async def post(context):
    return await WebhookNotifier().send(NOTE, URL, http=context.http, timeout_seconds=3)


async def test_webhook_posts_the_notification(context):
    context.http.answers(x_request_id="r-9")
    assert await post(context) == Receipt("r-9")
    (sent,) = context.http.sent
    assert (sent.method, sent.url, sent.timeout_seconds) == ("POST", URL, 3)
    told = {"title": "Alert", "text": "Disk full", "data": {"host": "a"}}
    assert json.loads(sent.body) == told
    assert sent.headers == {"Content-Type": "application/json", "Idempotency-Key": "k-1"}
    assert sent.follow == 0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, ProviderRejected),
        (400, ProviderRejected),
        (401, ProviderUnauthorized),
        (408, ProviderUnavailable),
        (429, ProviderRateLimited),
        (500, ProviderUnavailable),
        (504, EffectUnknown),
    ],
)
async def test_webhook_says_what_a_refusal_means_and_never_where_to(context, status, error):
    context.http.answers(status=status, retry_after="7")
    with pytest.raises(error) as caught:
        await post(context)
    assert "SECRET" not in str(caught.value)
    if status in (408, 429, 500):
        assert caught.value.retry_after_seconds == 7.0


async def test_webhook_that_cannot_be_reached_was_surely_not_told(context):
    context.http.script.append(ProviderUnavailable("no", code="http-unreachable"))
    with pytest.raises(ProviderUnavailable):
        await post(context)


@pytest.mark.parametrize("code", ["http-cut", "http-timeout"])
async def test_webhook_that_does_not_answer_may_have_been_told(context, code):
    context.http.script.append(ProviderUnavailable("no", code=code))
    with pytest.raises(EffectUnknown):
        await post(context)


SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


async def test_a_secret_signs_the_webhook_so_that_others_can_verify_it(context):
    context.http.answers()
    context.http.answers()
    signed = replace(NOTE, secret=SECRET)
    for _ in range(2):
        await WebhookNotifier().send(signed, URL, http=context.http, timeout_seconds=3)
    first, again = context.http.sent
    assert Webhook(SECRET).verify(first.body, first.headers)["text"] == "Disk full"
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert SECRET not in repr(signed)


async def test_the_time_of_a_signature_is_that_of_sending(context):
    context.http.answers()
    clock = ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    signed = replace(NOTE, secret=SECRET)
    await WebhookNotifier(clock).send(signed, URL, http=context.http, timeout_seconds=3)
    assert context.http.sent[0].headers["webhook-timestamp"] == "1772366400"


async def test_what_cannot_be_signed_with_is_refused_before_anything_is_sent(context):
    wrong = replace(NOTE, secret="hunter2!")
    with pytest.raises(ProviderRejected, match="cannot be signed") as caught:
        await WebhookNotifier().send(wrong, URL, http=context.http, timeout_seconds=3)
    assert "hunter2" not in str(caught.value)
    assert context.http.sent == []
