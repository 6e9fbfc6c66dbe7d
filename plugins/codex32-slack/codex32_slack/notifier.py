"""Messages to Slack: through an incoming webhook, or through the Web API."""

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
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    Rate,
    Receipt,
    StepFault,
    refusal,
    retry_after_seconds,
    send_once,
)

_TOKEN = re.compile(r"(xox[a-z]-[A-Za-z0-9-]+)/([#@]?[A-Za-z0-9._-]+)")
_PLACE = re.compile(r"(?:([A-Za-z0-9]+):)?([0-9]+\.[0-9]+)")
_LINK = re.compile(r"https://[a-z0-9.-]+/archives/([A-Za-z0-9]+)/p([0-9]+)([0-9]{6})(?:\?.*)?")
_REASON = re.compile(r"[a-z0-9_]{1,60}")
_LONGEST = 39_000
_MAX_ANSWER_BYTES = 256 * 1024
#: What the Web API calls its own trouble, and what it calls a wrong token.
_ITS_OWN = frozenset(
    {
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
#: What can be done about the commonest refusals.
_REMEDIES = {
    "channel_not_found": "; is the channel right, and the app in it?",
    "not_in_channel": "; invite the app into the channel",
    "is_archived": "; the channel is archived",
    "message_not_found": "; the message is gone, or not the app's own",
    "cant_update_message": "; the message is not the app's own",
}
_UNAUTHORIZED = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "no_permission",
        "access_denied",
    }
)


class Slack(Notifier):
    """Sends to an incoming webhook (its URL), or as an app (``TOKEN/CHANNEL``).

    An app's messages can be replied to and replaced; of a webhook's nobody learns an id.
    """

    name = "slack"
    replies = True
    updates = True
    # Slack takes one message a second for a channel.
    rate = Rate(1, 1.0)

    def __init__(self, api: str) -> None:
        self._api = api.rstrip("/")

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Send once; ``id`` is ``CHANNEL:TIMESTAMP`` of an app's message, empty of a webhook's."""
        if found := _TOKEN.fullmatch(target):
            method, message = _call(notification, found[2])
            answer = await self._post(
                http, f"{self._api}/{method}", message, timeout_seconds, token=found[1]
            )
            return _receipt(answer)
        if not target.startswith(("https://", "http://")):
            raise ProviderRejected(
                "the target is neither the URL of an incoming webhook nor TOKEN/CHANNEL, "
                "such as xoxb-…/C0123456789"
            )
        if notification.reply_to or notification.update:
            raise ProviderRejected(
                "an incoming webhook can neither reply nor change a message; "
                "send as an app: TOKEN/CHANNEL"
            )
        answer = await self._post(http, target, _content(notification), timeout_seconds)
        if answer.text().strip() != "ok":
            raise EffectUnknown("Slack did not answer `ok`; the message may have been posted")
        return Receipt()

    async def _post(
        self,
        http: HttpClient,
        url: str,
        message: dict[str, Any],
        timeout_seconds: float,
        *,
        token: str = "",
    ) -> HttpResponse:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = HttpRequest(
            url,
            "POST",
            headers=headers,
            body=json.dumps(message).encode(),
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        response = await send_once(http, request, service="Slack")
        text = response.text().strip()
        if fault := refusal(response, "Slack", text if _REASON.fullmatch(text) else ""):
            raise fault
        return response


def _call(notification: Notification, channel: str) -> tuple[str, dict[str, Any]]:
    """The method of the Web API, and what it is handed."""
    content = _content(notification)
    if notification.update:
        place, moment = _place(notification.update, "update", channel)
        return "chat.update", {**content, "channel": place, "ts": moment}
    content |= {"channel": channel, "unfurl_links": False, "unfurl_media": False}
    if notification.reply_to:
        place, moment = _place(notification.reply_to, "reply_to", channel)
        content |= {"channel": place, "thread_ts": moment}
    return "chat.postMessage", content


def _place(named: str, parameter: str, channel: str) -> tuple[str, str]:
    """The channel and the timestamp of a message: of a receipt, its link, or its timestamp."""
    if link := _LINK.fullmatch(named):
        return link[1], f"{link[2]}.{link[3]}"
    found = _PLACE.fullmatch(named)
    if found is None:
        raise ProviderRejected(
            f"{parameter} is no message of Slack; write the id of a notification before, "
            "${{ steps.….output.id }}, or the message's link"
        )
    return found[1] or channel, found[2]


def _content(notification: Notification) -> dict[str, Any]:
    title, text = escaped(notification.title), escaped(notification.text)
    told = f"*{title}*\n{text}" if title else text
    if len(told) > _LONGEST:
        told = told[:_LONGEST] + "… (cut)"
    content: dict[str, Any] = {"text": told or " "}
    own = notification.data.get("slack")
    if isinstance(own, dict) and isinstance(own.get("blocks"), list):
        content["blocks"] = own["blocks"]
    return content


def escaped(text: str) -> str:
    """Text that mentions nobody and links nothing, whatever came from outside."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _receipt(response: HttpResponse) -> Receipt:
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or "ok" not in answer:
        raise EffectUnknown("Slack answered with no JSON of its own; it may have posted")
    if answer["ok"] is not True:
        raise _fault(str(answer.get("error", "")), response)
    return Receipt(f"{answer.get('channel', '')}:{answer.get('ts', '')}")


def _fault(error: str, response: HttpResponse) -> StepFault:
    """What an answer of 200 stands for that says it is not ok."""
    told = error if _REASON.fullmatch(error) else "an error without a name"
    patience = retry_after_seconds(response.headers.get("retry-after", ""))
    if error in ("ratelimited", "rate_limited"):
        return ProviderRateLimited(f"Slack refused: {told}", retry_after_seconds=patience)
    if error in _UNAUTHORIZED:
        return ProviderUnauthorized(f"Slack refused: {told}; look at the app's token and scopes")
    if error in _ITS_OWN:
        return ProviderUnavailable(f"Slack failed: {told}", retry_after_seconds=patience)
    return ProviderRejected(f"Slack refused: {told}{_REMEDIES.get(error, '')}")
