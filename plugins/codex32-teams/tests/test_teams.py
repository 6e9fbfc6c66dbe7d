import pytest

import codex32_teams
from codex32 import (
    EffectUnknown,
    Notification,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
)
from codex32_teams.notifier import Teams
from codex32_testing.conformance import NotifierSuite
from codex32_testing.loading import load_plugin
from codex32_testing.servers.base import Fault
from codex32_testing.servers.chats import TeamsServer

NOTE = Notification("it rains\nand rains", title="Weather", idempotency_key="k-1")


class TestTeams(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return Teams()


@pytest.fixture
async def teams():
    async with TeamsServer() as server:
        yield server


@pytest.fixture
def send(teams, real_http):
    async def send(note=NOTE, target=None, timeout_seconds=5):
        target = target or teams.webhook
        return await Teams().send(note, target, http=real_http, timeout_seconds=timeout_seconds)

    return send


async def test_a_card_is_posted_with_title_and_text(teams, send):
    own = {"teams": {"body": [{"type": "FactSet", "facts": []}]}}
    await send(Notification(NOTE.text, title=NOTE.title, data=own))
    (card,) = teams.cards
    assert card["type"] == "AdaptiveCard"
    assert [each["type"] for each in card["body"]] == ["TextBlock", "TextBlock", "FactSet"]
    assert card["body"][1]["text"] == "it rains\n\nand rains"


async def test_a_long_text_fits_what_teams_takes(teams, send):
    await send(Notification("ü\n" * 30_000))
    assert teams.cards[0]["body"][0]["text"].endswith("… (cut)")


async def test_a_wrong_signature_is_told_without_the_target(teams, send):
    with pytest.raises(ProviderUnauthorized) as caught:
        await send(target=teams.webhook.replace("sig=S3CRET", "sig=OTHER"))
    assert "OTHER" not in str(caught.value)


async def test_a_failure_told_with_status_200_is_a_fault(teams, send):
    told = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP "
    teams.misbehave(Fault(200, told + b"error 429 with ContextId 1"))
    with pytest.raises(ProviderRateLimited):
        await send()
    teams.misbehave(Fault(200, told + b"error 413 with ContextId 1"))
    with pytest.raises(ProviderRejected):
        await send()


async def test_a_page_in_between_is_not_taken_for_teams(teams, send):
    teams.misbehave(Fault.html())
    with pytest.raises(EffectUnknown, match="a page answered"):
        await send()
    assert teams.cards == []


async def test_retry_after_is_kept_and_the_next_try_posts_once(teams, send):
    teams.misbehave(Fault.too_many("9"))
    with pytest.raises(ProviderRateLimited) as caught:
        await send()
    assert caught.value.retry_after_seconds == 9
    await send()
    assert len(teams.cards) == 1


async def test_an_answer_that_does_not_come_leaves_the_effect_unknown(teams, send):
    teams.misbehave(Fault.mute())
    with pytest.raises(EffectUnknown):
        await send(timeout_seconds=0.5)
    assert len(teams.cards) == 1


def test_the_plugin_offers_teams():
    assert load_plugin(codex32_teams).records[0].offers == {"notifiers": ("teams",)}
