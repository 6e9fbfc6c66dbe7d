"""The notifier ``ntfy``: messages to phones and desktops through https://ntfy.sh."""

from __future__ import annotations

import json

from codex32 import (
    EffectUnknown,
    HttpClient,
    HttpRequest,
    Notification,
    Notifier,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    Receipt,
)


class Ntfy(Notifier):
    """Publishes to the topic that is the target. A topic's name is its only protection."""

    name = "ntfy"

    def __init__(self, server: str) -> None:
        self._server = server

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Publish once; ``id`` is the message's id at the server."""
        message = {"topic": target, "message": notification.text or "(empty)"}
        if notification.title:
            message["title"] = notification.title
        request = HttpRequest(
            self._server,
            method="POST",
            json=message,
            timeout_seconds=timeout_seconds,
        )
        try:
            response = await http.send(request)
        except ProviderUnavailable as fault:
            if fault.fault_code == "http-unreachable":
                raise
            raise EffectUnknown("ntfy may have taken the message before it fell silent") from fault
        if response.status == 429:
            raise ProviderRateLimited("ntfy asks to send less often")
        if response.status >= 500:
            raise ProviderUnavailable(f"ntfy answered {response.status}")
        if response.status >= 300:
            raise ProviderRejected(f"ntfy answered {response.status}; is the topic's name right?")
        return Receipt(_message_id(response.text()))


def _message_id(text: str) -> str:
    try:
        answer = json.loads(text)
    except ValueError:
        return ""
    return str(answer.get("id", "")) if isinstance(answer, dict) else ""
