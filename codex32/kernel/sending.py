"""Requests that do something at the other side: sent once, and what came of it told exactly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import (
    EffectUnknown,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    StepFault,
)

#: A service that wants more patience than this is not believed.
_MOST_PATIENCE_SECONDS = 86400.0


async def send_once(http: HttpClient, request: HttpRequest, *, service: str) -> HttpResponse:
    """Send a request whose repetition would do its work twice.

    URLs and answers often hold secrets, so faults name ``service`` and nothing of the request.

    Returns:
      The answer, whatever its status; :func:`refusal` judges it.

    Raises:
      ProviderUnavailable: Nothing was sent.
      EffectUnknown: It was sent, and nobody can tell whether it was carried out.
      CapabilityRefused: The bot may not speak to this host.
    """
    try:
        # An answer of any length is an answer: it was sent.
        return await http.send(replace(request, cut=True))
    except ProviderUnavailable as fault:
        if fault.fault_code == "http-unreachable":
            message = f"{service} cannot be reached"
            raise ProviderUnavailable(message, code=fault.fault_code) from None
        message = f"{service} did not answer; it may have done what was asked"
        raise EffectUnknown(message) from None


def refusal(response: HttpResponse, service: str, reason: str = "") -> StepFault | None:
    """The fault that an answer stands for, or None where the status is 2xx.

    Args:
      response: What :func:`send_once` returned.
      service: Its name, as people read it.
      reason: What the service said, if that can be told: it must hold no secret.
    """
    status = response.status
    if 200 <= status < 300:
        return None
    message = f"{service} answered {status}" + (f": {reason}" if reason else "")
    patience = retry_after_seconds(response.headers.get("retry-after", ""))
    if status in (401, 403):
        return ProviderUnauthorized(message)
    if status == 429:
        return ProviderRateLimited(message, retry_after_seconds=patience)
    if status in (502, 504):
        return EffectUnknown(f"{message}; it may have done what was asked")
    if status in (408, 425) or status >= 500:
        return ProviderUnavailable(message, retry_after_seconds=patience)
    return ProviderRejected(message)


def http_date(text: str) -> datetime | None:
    """The moment that a header tells, naive where it names no zone; None where it is no date."""
    try:
        return parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # also a date with a number that no calendar has
        return None


def retry_after_seconds(text: str, now: datetime | None = None) -> float | None:
    """How long the header ``Retry-After`` asks to wait, at most a day; None if it says nothing."""
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        moment = http_date(text)
        if moment is None:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - (now or datetime.now(UTC))).total_seconds()
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), _MOST_PATIENCE_SECONDS)
