"""The notifier ``ntfy``: messages to phones and desktops through https://ntfy.sh."""

from __future__ import annotations

import json

from codex32 import (
    HttpClient,
    HttpRequest,
    Notification,
    Notifier,
    Receipt,
    refusal,
    send_once,
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
        response = await send_once(http, request, service="ntfy")
        if fault := refusal(response, "ntfy"):
            raise fault
        return Receipt(_message_id(response.text()))


def _message_id(text: str) -> str:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return str(answer.get("id", "")) if isinstance(answer, dict) else ""
