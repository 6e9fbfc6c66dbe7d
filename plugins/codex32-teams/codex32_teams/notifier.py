"""Adaptive Cards to Microsoft Teams, through a workflow's webhook."""

from __future__ import annotations

import json
import re
from typing import Any

from codex32 import (
    EffectUnknown,
    HttpClient,
    HttpRequest,
    HttpResponse,
    Notification,
    Notifier,
    Rate,
    Receipt,
    refusal,
    send_once,
)

#: Teams takes 28 KB; the card around the text needs some of it.
_LONGEST_BYTES = 20_000
_MAX_ANSWER_BYTES = 256 * 1024
#: A connector answered 200 and told in its text that it had failed.
_FAILED = re.compile(r"(?i)delivery failed.*?HTTP error (\d{3})", re.DOTALL)


class Teams(Notifier):
    """Posts a card to the workflow whose URL the target is."""

    name = "teams"
    # Teams takes four requests a second.
    rate = Rate(4, 1.0)

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Post once; Teams gives no id."""
        card = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": _card(notification),
        }
        request = HttpRequest(
            target,
            "POST",
            headers={"Content-Type": "application/json; charset=utf-8"},
            body=_json({"type": "message", "attachments": [card]}),
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        response = await send_once(http, request, service="Teams")
        if fault := refusal(response, "Teams"):
            raise fault
        told = response.text()
        if found := _FAILED.search(told):
            failed = HttpResponse(int(found[1]), response.headers, b"", "")
            raise refusal(failed, "Teams") or EffectUnknown("Teams says that delivery failed")
        if told.lstrip().startswith("<"):
            raise EffectUnknown("a page answered instead of Teams; it may have posted")
        return Receipt()


def _card(notification: Notification) -> dict[str, Any]:
    body: list[dict[str, Any]] = []
    if notification.title:
        body.append(
            {
                "type": "TextBlock",
                "text": notification.title,
                "weight": "Bolder",
                "size": "Medium",
                "wrap": True,
                "style": "heading",
            }
        )
    # Of single line breaks Markdown makes none.
    text = _cut(notification.text.replace("\r\n", "\n").replace("\n", "\n\n"))
    body.append({"type": "TextBlock", "text": text or "(empty)", "wrap": True})
    own = notification.data.get("teams")
    if isinstance(own, dict) and isinstance(own.get("body"), list):
        body += own["body"]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }


def _cut(text: str) -> str:
    whole = text
    while (size := len(_json(text))) > _LONGEST_BYTES:
        text = text[: len(text) * _LONGEST_BYTES // size - 1]
    return text if text == whole else text + "… (cut)"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")
