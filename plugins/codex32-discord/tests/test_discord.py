import pytest

import codex32_discord
from codex32 import EffectUnknown, Notification, ProviderRateLimited, ProviderRejected
from codex32_discord.notifier import Discord
from codex32_testing.conformance import NotifierSuite
from codex32_testing.loading import load_plugin
from codex32_testing.servers.base import Fault
from codex32_testing.servers.chats import DiscordServer

NOTE = Notification("it rains", title="Weather", idempotency_key="k-1")


class TestDiscord(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return Discord()


@pytest.fixture
async def discord():
    async with DiscordServer() as server:
        yield server


@pytest.fixture
def send(discord, real_http):
    async def send(note=NOTE, target=None, timeout_seconds=5):
        target = target or discord.webhook
        return await Discord().send(note, target, http=real_http, timeout_seconds=timeout_seconds)

    return send


async def test_a_message_is_posted_and_edited_and_mentions_nobody(discord, send):
    first = await send()
    again = await send(Notification("@everyone it stopped", update=first.id))
    assert again.id == first.id
    (message,) = discord.messages.values()
    assert message["content"] == "@everyone it stopped"
    assert message["allowed_mentions"] == {"parse": []}


async def test_a_thread_in_the_url_is_kept(discord, send):
    await send(target=discord.webhook + "?thread_id=7")
    assert discord.asked[0].query == {"thread_id": "7", "wait": "true"}


async def test_a_long_text_is_cut_as_discord_counts(discord, send):
    await send(Notification("😀" * 1500))
    (message,) = discord.messages.values()
    assert message["content"].endswith("… (cut)")


async def test_what_is_unknown_there_is_told_without_the_target(discord, send):
    with pytest.raises(ProviderRejected, match=r"the message is gone \(code 10008\)"):
        await send(Notification("x", update="17"))
    with pytest.raises(ProviderRejected, match=r"the webhook is gone \(code 10015\)") as caught:
        await send(target=discord.url("/api/webhooks/1/OTHER"))
    assert "OTHER" not in str(caught.value)
    with pytest.raises(ProviderRejected, match="no id that Discord gave"):
        await send(Notification("x", update="../../users/@me"))


async def test_a_wait_in_parts_of_a_second_is_kept(discord, send):
    body = b'{"message": "You are being rate limited.", "retry_after": 0.65, "global": false}'
    discord.misbehave(Fault(429, body, {"Retry-After": "1"}), Fault.too_many("3"))
    for seconds in (0.65, 3):
        with pytest.raises(ProviderRateLimited) as caught:
            await send()
        assert caught.value.retry_after_seconds == seconds
    await send()
    assert len(discord.messages) == 1


DEEP = Fault(200, b"[" * 100_000)


@pytest.mark.parametrize("fault", [Fault.torn(), Fault.html(), Fault.mute(), DEEP], ids=range(4))
async def test_an_answer_that_nobody_understands_leaves_the_effect_unknown(discord, send, fault):
    discord.misbehave(fault)
    with pytest.raises(EffectUnknown):
        await send(timeout_seconds=0.5)


def test_the_plugin_offers_discord():
    assert load_plugin(codex32_discord).records[0].offers == {"notifiers": ("discord",)}
