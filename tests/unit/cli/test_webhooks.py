"""``codex32 webhooks``."""

import pytest


@pytest.fixture(autouse=True)
def _database(codex32):
    assert codex32("db", "upgrade").code == 0


@pytest.fixture
def webhook(codex32):
    made = codex32(
        "webhooks", "add", "https://example.com/hook", "--event", "execution.*", "--json"
    )
    assert made.code == 0, made.err
    return made.json


def test_a_webhook_is_made_shown_and_deleted(codex32, webhook):
    assert webhook["secret"].startswith("whsec_")
    shown = codex32("webhooks", "list", "--json").json["webhooks"]
    assert [each["id"] for each in shown] == [webhook["id"]]
    assert "secret" not in shown[0]
    assert "example.com/hook" in codex32("webhooks", "list").out
    assert "would be deleted" in codex32("webhooks", "delete", webhook["id"], "--dry-run").out
    assert codex32("webhooks", "delete", webhook["id"]).code == 0
    assert codex32("webhooks", "list", "--json").json == {"webhooks": []}
    assert "nothing is sent anywhere" in codex32("webhooks", "list").err


def test_it_is_switched_and_its_secret_replaced(codex32, webhook):
    assert codex32("webhooks", "switch", webhook["id"], "--off", "--json").json["enabled"] is False
    assert "disabled" in codex32("webhooks", "list").out
    refused = codex32("webhooks", "test", webhook["id"], "--json")
    assert refused.code != 0
    assert refused.fault["code"] == "webhook-disabled"
    assert codex32("webhooks", "switch", webhook["id"], "--on", "--json").json["enabled"] is True
    rotated = codex32("webhooks", "rotate", webhook["id"], "--json").json
    assert rotated["secret"] not in ("", webhook["secret"])


def test_what_is_sent_is_listed_and_replayed(codex32, webhook):
    sent = codex32("webhooks", "test", webhook["id"], "--json").json
    listed = codex32("webhooks", "deliveries", webhook["id"], "--json").json["deliveries"]
    assert [each["id"] for each in listed] == [sent["id"]]
    assert listed[0]["body"]["type"] == "webhook.test"
    assert "pending" in codex32("webhooks", "deliveries", webhook["id"]).out
    again = codex32("webhooks", "replay", webhook["id"], sent["id"], "--json").json
    assert again == {"deliveries": 1}
    since = codex32("webhooks", "replay", webhook["id"], "--since", "2026-01-01", "--json").json
    assert since == {"deliveries": 0}
    assert codex32("webhooks", "replay", webhook["id"]).code == 2
    assert codex32("webhooks", "replay", webhook["id"], sent["id"], "--all").code == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "ftp://example.com", "--event", "bot.*"), "webhook-invalid"),
        (("add", "https://example.com", "--event", "bot.fail"), "webhook-invalid"),
        (("rotate", "whk_nothing"), "webhook-not-found"),
    ],
)
def test_what_cannot_be_is_refused(codex32, arguments, code):
    refused = codex32("webhooks", *arguments, "--json")
    assert refused.code != 0
    assert refused.fault["code"] == code
