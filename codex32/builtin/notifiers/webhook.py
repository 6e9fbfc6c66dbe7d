"""A POST to a URL."""

from __future__ import annotations

from codex32 import (
    EffectUnknown,
    HttpClient,
    HttpRequest,
    Notification,
    Notifier,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    Receipt,
)

_MAX_ANSWER_BYTES = 1024 * 1024


class WebhookNotifier(Notifier):
    """Posts ``{"title", "text", "data"}`` as JSON to the URL that the target is."""

    name: str = "webhook"

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Post once; a URL often is a secret, so no fault tells it."""
        request = HttpRequest(
            target,
            "POST",
            headers={"Idempotency-Key": notification.idempotency_key},
            json={
                "title": notification.title,
                "text": notification.text,
                "data": dict(notification.data),
            },
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        try:
            response = await http.send(request)
        except ProviderUnavailable as fault:
            raise _fault(fault.fault_code) from None
        _judge(response.status, response.headers.get("retry-after", ""))
        return Receipt(response.headers.get("x-request-id", ""))


def _fault(code: str) -> ProviderUnavailable | EffectUnknown:
    if code == "http-unreachable":
        return ProviderUnavailable("the webhook cannot be reached", code=code)
    return EffectUnknown("the webhook did not answer; it may have taken the notification")


def _judge(status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    message = f"the webhook answered {status}"
    patience = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    if status in (401, 403):
        raise ProviderUnauthorized(message)
    if status == 429:
        raise ProviderRateLimited(message, retry_after_seconds=patience)
    if status in (502, 504):
        raise EffectUnknown(f"{message}; it may have taken the notification")
    if status in (408, 425) or status >= 500:
        raise ProviderUnavailable(message, retry_after_seconds=patience)
    raise ProviderRejected(message)
