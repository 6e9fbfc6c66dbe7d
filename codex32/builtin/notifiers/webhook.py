"""A POST to a URL, signed where there is a secret."""

from __future__ import annotations

import hashlib
import json

from codex32 import (
    Clock,
    HttpClient,
    HttpRequest,
    Notification,
    Notifier,
    ProviderRejected,
    Receipt,
    SystemClock,
    WebhookRefused,
    WebhookRequest,
    refusal,
    send_once,
)

_MAX_ANSWER_BYTES = 1024 * 1024


class WebhookNotifier(Notifier):
    """Posts ``{"title", "text", "data"}`` as JSON to the URL that the target is.

    With a ``secret`` (``whsec_…``) it is signed as Standard Webhooks 1.0 has it. All tries of one
    notification have the same ``webhook-id``, by which the receiver knows one that came before.
    """

    name: str = "webhook"

    def __init__(self, clock: Clock = SystemClock.shared) -> None:
        self._clock = clock

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Post once; a URL often is a secret, so no fault tells it."""
        content = {
            "title": notification.title,
            "text": notification.text,
            "data": dict(notification.data),
        }
        body = json.dumps(content, ensure_ascii=False).encode(errors="replace")
        request = HttpRequest(
            target,
            "POST",
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": notification.idempotency_key,
                **self._signature(notification, body),
            },
            body=body,
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        response = await send_once(http, request, service="the webhook")
        if fault := refusal(response, "the webhook"):
            raise fault
        return Receipt(response.headers.get("x-request-id", ""))

    def _signature(self, notification: Notification, body: bytes) -> dict[str, str]:
        if not notification.secret:
            return {}
        from codex32.builtin.triggers.webhook_schemes import StandardScheme

        digest = hashlib.sha256(notification.idempotency_key.encode(errors="replace")).hexdigest()
        unsigned = WebhookRequest("POST", "", {}, {}, body)
        now = self._clock.micros() / 1e6
        try:
            return dict(
                StandardScheme().sign(unsigned, notification.secret, now, f"msg_{digest[:32]}")
            )
        except WebhookRefused as fault:
            raise ProviderRejected(f"it cannot be signed: {fault}") from None
