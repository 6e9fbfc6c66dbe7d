from datetime import UTC, datetime

import pytest

from codex32 import (
    CapabilityRefused,
    EffectUnknown,
    HttpRequest,
    HttpResponse,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    refusal,
    retry_after_seconds,
    send_once,
)
from codex32_testing.http import FakeHttp

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REQUEST = HttpRequest("https://hooks.example.com/S3CRET", "POST")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ProviderRejected),
        (400, ProviderRejected),
        (401, ProviderUnauthorized),
        (403, ProviderUnauthorized),
        (408, ProviderUnavailable),
        (425, ProviderUnavailable),
        (429, ProviderRateLimited),
        (500, ProviderUnavailable),
        (502, EffectUnknown),
        (503, ProviderUnavailable),
        (504, EffectUnknown),
    ],
)
def test_each_status_has_its_fault(status, kind):
    fault = refusal(HttpResponse(status, {"retry-after": "7"}, b"", ""), "Oracle", "too loud")
    assert type(fault) is kind
    assert str(fault).startswith(f"Oracle answered {status}: too loud")
    if status in (408, 425, 429, 500, 503):
        assert fault.retry_after_seconds == 7


def test_a_success_is_no_fault():
    assert refusal(HttpResponse(204, {}, b"", ""), "Oracle") is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("Sun, 01 Mar 99999999999999 12:01:00 GMT", None),
        ("Sun, 01 Mar 2026 12:01:00 +99999999999999999999", None),
        ("nan", None),
        ("0", 0),
        ("-5", 0),
        ("1.5", 1.5),
        ("999999999", 86400),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
    ],
)
def test_patience_is_asked_for_in_seconds_or_as_a_date(text, seconds):
    assert retry_after_seconds(text, NOW) == seconds


async def test_nothing_sent_is_told_apart_from_perhaps_sent():
    http = FakeHttp()
    http.fail(ProviderUnavailable("at S3CRET", code="http-unreachable"), once=True)
    http.fail(ProviderUnavailable("at S3CRET", code="http-cut"))
    with pytest.raises(ProviderUnavailable, match="Oracle cannot be reached"):
        await send_once(http, REQUEST, service="Oracle")
    with pytest.raises(EffectUnknown, match="may have done") as caught:
        await send_once(http, REQUEST, service="Oracle")
    assert "S3CRET" not in str(caught.value)


async def test_an_answer_of_any_length_is_one():
    """What was sent was sent, however much comes back."""
    http = FakeHttp()
    http.answer()
    await send_once(http, REQUEST, service="Oracle")
    assert http.requests[0].cut


async def test_a_host_that_is_not_allowed_is_told_as_it_is():
    http = FakeHttp()
    http.fail(CapabilityRefused("hosts", "hooks.example.com"))
    with pytest.raises(CapabilityRefused, match=r"hooks\.example\.com"):
        await send_once(http, REQUEST, service="Oracle")
