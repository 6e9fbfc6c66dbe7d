import logging

import pytest

from codex32 import (
    EffectUnknown,
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
    assert sent.json == {"title": "Alert", "text": "Disk full", "data": {"host": "a"}}
    assert sent.headers == {"Idempotency-Key": "k-1"}
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
