import pytest

import codex32_telegram
from codex32 import (
    EffectUnknown,
    Notification,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)
from codex32_telegram.notifier import Telegram
from codex32_testing.conformance import NotifierSuite
from codex32_testing.loading import load_plugin
from codex32_testing.servers.base import Fault
from codex32_testing.servers.chats import TelegramServer

NOTE = Notification("it rains", title="Weather 😀", idempotency_key="k-1")
TARGET = "123:AbC_S3CRET/-1001"


class TestTelegram(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return Telegram("https://api.telegram.org")

    @pytest.fixture
    def target(self):
        return TARGET


@pytest.fixture
async def telegram():
    async with TelegramServer() as server:
        yield server


@pytest.fixture
def send(telegram, real_http):
    async def send(note=NOTE, target=TARGET, timeout_seconds=5):
        notifier = Telegram(telegram.url())
        return await notifier.send(note, target, http=real_http, timeout_seconds=timeout_seconds)

    return send


async def test_a_message_is_sent_answered_and_edited(telegram, send):
    first = await send()
    await send(Notification("still", reply_to=first.id))
    await send(Notification("it stopped", update=first.id))
    top, below = telegram.messages.values()
    assert top["text"] == "it stopped"
    assert below["reply_parameters"]["message_id"] == int(first.id)


async def test_the_title_is_bold_as_telegram_counts_and_the_rest_is_plain(telegram, send):
    await send()
    message = telegram.messages[1]
    assert message["text"] == "Weather 😀\nit rains"
    assert message["entities"] == [{"type": "bold", "offset": 0, "length": 10}]
    assert "parse_mode" not in message


async def test_an_edit_that_was_done_before_is_no_fault(telegram, send):
    first = await send()
    update = Notification("it stopped", update=first.id)
    telegram.misbehave(Fault.torn())
    with pytest.raises(EffectUnknown):
        await send(update)
    assert (await send(update)).id == first.id


async def test_a_long_text_is_cut_as_telegram_counts(telegram, send):
    await send(Notification("😀" * 3000))
    assert telegram.messages[1]["text"].endswith("… (cut)")


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("9:WRONG_S3CRET/-1001", ProviderUnauthorized),
        ("123:AbC_S3CRET/-9", ProviderRejected),
        ("123:AbC_S3CRET", ProviderRejected),
        ("123:AbC_S3CRET/../x", ProviderRejected),
    ],
)
async def test_a_wrong_target_is_told_and_not_shown(send, target, kind):
    with pytest.raises(kind) as caught:
        await send(target=target)
    assert "S3CRET" not in str(caught.value)


async def test_the_wait_in_the_answer_is_kept(telegram, send):
    body = b'{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":5}}'
    telegram.misbehave(Fault(429, body), Fault(500, b'{"ok":false,"error_code":500}'))
    with pytest.raises(ProviderRateLimited) as caught:
        await send()
    assert caught.value.retry_after_seconds == 5
    with pytest.raises(ProviderUnavailable):
        await send()


async def test_a_200_that_is_not_ok_is_a_fault(telegram, send):
    telegram.misbehave(Fault(200, b'{"ok":false,"error_code":403,"description":"blocked"}'))
    with pytest.raises(ProviderUnauthorized):
        await send()


async def test_a_chat_that_moved_is_told_so(telegram, send):
    body = b'{"ok":false,"error_code":400,"parameters":{"migrate_to_chat_id":-2}}'
    telegram.misbehave(Fault(400, body))
    with pytest.raises(ProviderRejected, match="the chat has moved; write its new id, -2"):
        await send()


async def test_why_telegram_refuses_is_told_and_not_what_was_sent(telegram, send):
    with pytest.raises(ProviderRejected, match="answered 400: message to edit not found"):
        await send(Notification("x", update="99"))
    with pytest.raises(ProviderUnauthorized, match="it does not know the bot's token"):
        await send(target="123:WRONG/-1001")
    told = b'{"ok":false,"error_code":400,"description":"Bad Request: can\'t parse S3CRET"}'
    telegram.misbehave(Fault(400, told))
    with pytest.raises(ProviderRejected) as caught:
        await send()
    assert str(caught.value) == "Telegram answered 400"


async def test_a_topic_of_a_chat_is_written_to(telegram, send):
    first = await send(target=f"{TARGET}/9")
    await send(Notification("again", update=first.id), target=f"{TARGET}/9")
    (message,) = telegram.messages.values()
    assert (message["message_thread_id"], message["text"]) == (9, "again")


DEEP = Fault(200, b"[" * 100_000)


@pytest.mark.parametrize("fault", [Fault.torn(), Fault.html(), Fault.mute(), DEEP], ids=range(4))
async def test_an_answer_that_nobody_understands_leaves_the_effect_unknown(telegram, send, fault):
    telegram.misbehave(fault)
    with pytest.raises(EffectUnknown):
        await send(timeout_seconds=0.5)


def test_the_plugin_offers_telegram_and_names_a_wrong_setting():
    assert load_plugin(codex32_telegram).records[0].offers == {"notifiers": ("telegram",)}
    with pytest.raises(Exception, match=r"plugins\.under_test\.api: 'x' is no address"):
        load_plugin(codex32_telegram, {"api": "x"})


def test_a_setting_that_is_none_is_told_with_what_is_meant():
    with pytest.raises(Exception, match=r"'apii' is no setting \(did you mean 'api'\?\)"):
        load_plugin(codex32_telegram, {"apii": "x"})
