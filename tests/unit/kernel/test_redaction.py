"""What looks like a secret is kept out of what the house says."""

import logging

import pytest

from codex32.kernel.redaction import ScrubbingFormatter, scrub

SECRETS = [
    ("cx32_live_ab12cd34_Zm9vYmFyYmF6", "key cx32_***"),
    ("cx32_aB-3_x9Z0qwerty", "key cx32_***"),
    ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "key whsec_***"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "key ***"),
    ("for-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "key for-***"),
    ("x-eyJ.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", "key x-eyJ.***"),
    ("k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "key k1:***"),
    ("Authorization: Bearer abc.def-123~+/=", "key Authorization: Bearer ***"),
    ("authorization: basic dXNlcjpodXNoLWh1c2g=", "key authorization: basic ***"),
    ("Authorization: Basic dXNlcjpodXNo", "key Authorization: Basic ***"),
    ("Basic not.base64-1", "key Basic ***"),
    ("postgresql://me:hush%21@db:5432/codex32", "key postgresql://me:***@db:5432/codex32"),
    ("redis://:hush@cache", "key redis://:***@cache"),
    ("https://hooks.slack.com/services/T0/B0/hush", "key https://hooks.slack.com/services/***"),
    ("https://hooks.slack.com/triggers/E0/1/hush", "key https://hooks.slack.com/triggers/***"),
    ("https://discord.com/api/webhooks/1/hush", "key https://discord.com/api/webhooks/***"),
    ("https://ptb.discord.com/api/webhooks/1/a", "key https://ptb.discord.com/api/webhooks/***"),
    (
        "https://acme.webhook.office.com/webhookb2/a@b",
        "key https://acme.webhook.office.com/webhookb2/***",
    ),
    ("https://hooks.zapier.com/hooks/catch/1/a/", "key https://hooks.zapier.com/hooks/catch/***"),
    ("https://hook.eu2.make.com/abc", "key https://hook.eu2.make.com/***"),
    ("https://api.telegram.org/bot1:AA-x/send", "key https://api.telegram.org/bot***"),
    (
        "https://x.logic.azure.com/workflows/1?sp=%2F&sig=0123456789abcdef-",
        "key https://x.logic.azure.com/workflows/1?sp=%2F&sig=***",
    ),
    (
        "https://chat.googleapis.com/v1/spaces/A/messages?key=0123456789abcdef&token=0123456789abcdef",
        "key https://chat.googleapis.com/v1/spaces/A/messages?key=***&token=***",
    ),
    ("AKIAIOSFODNN7EXAMPLE", "key AKIAIO***"),
    ("ghp_0123456789abcdefghijklmnopqrstuvwxyz", "key ghp_***"),
    ("xoxb-1234567890-abcdefghijkl", "key xoxb-***"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ\n-----END RSA PRIVATE KEY-----",
        "key -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
    ),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQ", "key -----BEGIN PRIVATE KEY-----***"),
]


@pytest.mark.parametrize(("secret", "told"), SECRETS)
def test_what_looks_like_a_secret_is_masked(secret, told):
    assert scrub(f"key {secret}") == told


@pytest.mark.parametrize(
    "text",
    [
        "exe_01jd8x3b5m7q9s1v3x5z7b9d1f is running",
        "https://example.com:8443/a@b?c=d",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "the bearer of bad news",
        "Basic information about certificates",
        "cx32_ is the prefix",
        "look at https://hooks.slack.com/services/*** and https://discord.com/api/webhooks",
        "https://example.com/list?key=name&sort_key=created_at&next=0123456789abcdef",
        "https://example.com/?token=${{secrets.FEED_TOKEN_OF_ALL}}",
    ],
)
def test_what_does_not_stays(text):
    assert scrub(text) == text


@pytest.mark.parametrize("end", ["", ".bbbbbb", ".bbbbbb."])
def test_a_text_that_begins_like_tokens_again_and_again_is_read_once(end):
    # From each beginning to the end of the text, this took hours.
    text = "-eyJaaaaaa" * 300_000 + end
    assert len(scrub(text)) == (4 if end == ".bbbbbb." else len(text))


def test_tracebacks_of_log_records_are_masked_too():
    try:
        raise ValueError("postgresql://me:hush@db refused Bearer abcdefgh123")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "with %s", ("cx32_abcdefgh12",), info)
    text = ScrubbingFormatter("%(message)s").format(record)
    assert "hush" not in text
    assert "abcdefgh" not in text
    assert "Traceback" in text
