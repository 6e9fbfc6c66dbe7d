import pytest

import codex32_slack
from codex32 import (
    EffectUnknown,
    Notification,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)
from codex32_slack.notifier import Slack, escaped
from codex32_testing.conformance import NotifierSuite
from codex32_testing.http import FakeHttp
from codex32_testing.loading import load_plugin
from codex32_testing.servers.base import Fault
from codex32_testing.servers.chats import SlackServer

NOTE = Notification("it rains", title="Weather", idempotency_key="k-1")
APP = "xoxb-1-S3CRET/C0123"


class TestSlackWebhook(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return Slack("https://slack.com/api")

    @pytest.fixture
    def working_http(self):
        http = FakeHttp()
        http.answer(body="ok")
        return http


class TestSlackApp(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return Slack("https://slack.com/api")

    @pytest.fixture
    def target(self):
        return APP


@pytest.fixture
async def slack():
    async with SlackServer() as server:
        yield server


@pytest.fixture
def send(slack, real_http):
    async def send(note=NOTE, target=APP, timeout_seconds=5):
        notifier = Slack(slack.api)
        return await notifier.send(note, target, http=real_http, timeout_seconds=timeout_seconds)

    return send


async def test_a_webhook_is_posted_to_and_gives_no_id(slack, send):
    assert (await send(target=slack.webhook)).id == ""
    (message,) = slack.messages.values()
    assert message["text"] == "*Weather*\nit rains"


async def test_an_app_posts_replies_in_the_thread_and_changes_what_it_said(slack, send):
    first = await send()
    reply = await send(Notification("still", reply_to=first.id))
    again = await send(Notification("it stopped", update=first.id))
    assert again.id == first.id != reply.id
    top, below = slack.messages.values()
    assert top["text"] == "it stopped"
    assert below["thread_ts"] == first.id.partition(":")[2]
    assert not below["unfurl_links"]


async def test_what_comes_from_outside_mentions_nobody(slack, send):
    await send(Notification("<!channel> & <https://evil.example|click>"))
    (message,) = slack.messages.values()
    assert message["text"] == escaped("<!channel> & <https://evil.example|click>")
    assert "<" not in message["text"]


async def test_blocks_are_handed_over_beside_the_text(slack, send):
    blocks = [{"type": "divider"}]
    await send(Notification("x", data={"slack": {"blocks": blocks}}))
    assert next(iter(slack.messages.values()))["blocks"] == blocks


async def test_a_long_text_is_cut_where_slack_would_refuse_it(slack, send):
    await send(Notification("x" * 50_000))
    text = next(iter(slack.messages.values()))["text"]
    assert text.endswith("… (cut)")
    assert len(text) < 40_000


@pytest.mark.parametrize(
    ("target", "kind", "told"),
    [
        ("xoxb-9-WRONG/C0123", ProviderUnauthorized, "invalid_auth"),
        ("xoxb-1-S3CRET/C9", ProviderRejected, "channel_not_found"),
        ("xoxb-1-S3CRET", ProviderRejected, "TOKEN/CHANNEL"),
        ("#general", ProviderRejected, "TOKEN/CHANNEL"),
    ],
)
async def test_what_slack_says_is_wrong_is_told_although_it_answers_200(send, target, kind, told):
    with pytest.raises(kind, match=told) as caught:
        await send(target=target)
    assert "S3CRET" not in str(caught.value)
    assert not caught.value.retryable


async def test_a_webhook_refuses_what_it_cannot_do(slack, send):
    with pytest.raises(ProviderRejected, match="send as an app"):
        await send(Notification("x", update="C1:1.1"), target=slack.webhook)
    with pytest.raises(ProviderRejected, match="no message of Slack"):
        await send(Notification("x", reply_to="17"))
    assert slack.asked == []


async def test_a_message_is_named_by_its_link_or_its_time_too(slack, send):
    first = await send()
    _, _, moment = first.id.partition(":")
    link = f"https://acme.slack.com/archives/C0123/p{moment.replace('.', '')}"
    await send(Notification("more", reply_to=link))
    await send(Notification("other", update=link))
    await send(Notification("last", update=moment))
    top, below = slack.messages.values()
    assert (top["text"], below["thread_ts"], below["channel"]) == ("last", moment, "C0123")
    with pytest.raises(ProviderRejected, match="is gone, or not the app's own"):
        await send(Notification("x", update="1.5"))


async def test_retry_after_is_kept_and_the_next_try_posts_once(slack, send):
    slack.misbehave(Fault.too_many("7"), Fault(503))
    with pytest.raises(ProviderRateLimited) as caught:
        await send()
    assert caught.value.retry_after_seconds == 7
    with pytest.raises(ProviderUnavailable):
        await send()
    await send()
    assert len(slack.messages) == 1


@pytest.mark.parametrize("error", ["ratelimited", "internal_error"])
async def test_a_200_that_lies_is_worth_another_try_where_slack_was_at_fault(slack, send, error):
    body = b'{"ok": false, "error": "%s"}' % error.encode()
    slack.misbehave(Fault(200, body, {"Retry-After": "3"}))
    with pytest.raises((ProviderRateLimited, ProviderUnavailable)) as caught:
        await send()
    assert caught.value.retry_after_seconds == 3


DEEP = Fault(200, b"[" * 100_000)


@pytest.mark.parametrize("fault", [Fault.torn(), Fault.html(), Fault.mute(), DEEP], ids=range(4))
async def test_an_answer_that_nobody_understands_leaves_the_effect_unknown(slack, send, fault):
    slack.misbehave(fault)
    with pytest.raises(EffectUnknown):
        await send(timeout_seconds=0.5)
    slack.misbehave(fault)
    with pytest.raises(EffectUnknown):
        await send(target=slack.webhook, timeout_seconds=0.5)


def test_the_plugin_offers_slack_and_names_a_wrong_setting():
    assert load_plugin(codex32_slack).records[0].offers == {"notifiers": ("slack",)}
    with pytest.raises(Exception, match=r"plugins\.under_test\.api: 'slack' is no address"):
        load_plugin(codex32_slack, {"api": "slack"})


def test_a_setting_that_is_none_is_told_with_what_is_meant():
    with pytest.raises(Exception, match=r"'apii' is no setting \(did you mean 'api'\?\)"):
        load_plugin(codex32_slack, {"apii": "x"})
