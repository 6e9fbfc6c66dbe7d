import pytest

from codex32 import EffectUnknown, Notification, ProviderUnavailable
from codex32_example.ntfy import Ntfy
from codex32_testing.conformance import NotifierSuite


class TestNtfy(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return Ntfy("https://ntfy.example.com")

    @pytest.fixture
    def target(self):
        return "S3CRET-topic"

    async def test_topic_title_and_text_are_published(self, notifier, fake_http):
        fake_http.answer("https://ntfy.example.com", method="POST", json={"id": "abc"})
        note = Notification("it rains", title="Weather")
        receipt = await notifier.send(note, "home", http=fake_http, timeout_seconds=5)
        assert receipt.id == "abc"
        assert fake_http.requests[0].json == {
            "topic": "home",
            "title": "Weather",
            "message": "it rains",
        }

    async def test_an_answer_that_is_no_json_still_is_a_receipt(self, notifier, fake_http):
        fake_http.answer(body="<html>")
        receipt = await notifier.send(Notification("x"), "home", http=fake_http, timeout_seconds=5)
        assert receipt.id == ""

    async def test_a_cut_connection_leaves_the_effect_unknown(self, notifier, fake_http):
        fake_http.fail(ProviderUnavailable("cut", code="http-cut"))
        with pytest.raises(EffectUnknown):
            await notifier.send(Notification("x"), "home", http=fake_http, timeout_seconds=5)
