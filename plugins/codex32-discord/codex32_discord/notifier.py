"""Messages to Discord, through a webhook of a channel."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from codex32 import (
    EffectUnknown,
    HttpClient,
    HttpRequest,
    HttpResponse,
    Notification,
    Notifier,
    ProviderRateLimited,
    ProviderRejected,
    Rate,
    Receipt,
    StepFault,
    refusal,
    send_once,
)

_LONGEST = 2000
_CUT = "… (cut)"
#: What Discord's codes mean, as far as somebody can do something about it.
_MEANINGS = {
    10003: "the channel or thread is gone",
    10008: "the message is gone",
    10015: "the webhook is gone",
    50006: "the message is empty",
    50027: "the token in the webhook's URL is wrong",
    50035: "something in the message is not as Discord wants it",
    50083: "the thread is archived",
    160005: "the thread is locked",
    220001: "the channel is a forum; name a thread in the webhook's URL: ?thread_id=…",
}
_MAX_ANSWER_BYTES = 256 * 1024


class Discord(Notifier):
    """Posts to the webhook whose URL the target is, and edits what it posted.

    Nobody is mentioned, whatever the text holds.
    """

    name = "discord"
    updates = True
    # Of one webhook, Discord takes five messages in two seconds.
    rate = Rate(5, 2.0)

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Post or edit once; ``id`` is the message's."""
        request = HttpRequest(
            target,
            "POST",
            query={"wait": "true"},
            json=_content(notification),
            has_json=True,
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        if notification.update:
            if not (notification.update.isascii() and notification.update.isdigit()):
                raise ProviderRejected("update is no id that Discord gave: a number")
            url = urlsplit(target)
            path = f"{url.path.rstrip('/')}/messages/{notification.update}"
            request = replace(
                request, url=url._replace(path=path).geturl(), method="PATCH", query={}
            )
        response = await send_once(http, request, service="Discord")
        if fault := _fault(response):
            raise fault
        message = _object(response)
        if "id" not in message:
            raise EffectUnknown("Discord answered without a message; it may have posted")
        return Receipt(str(message["id"]))


def _content(notification: Notification) -> dict[str, Any]:
    title = f"**{notification.title}**\n" if notification.title else ""
    told = title + notification.text
    if len(told.encode("utf-16-le", "replace")) // 2 > _LONGEST:
        room = (_LONGEST - len(_CUT)) * 2
        told = told.encode("utf-16-le", "replace")[:room].decode("utf-16-le", "ignore") + _CUT
    content: dict[str, Any] = {"content": told or "(empty)", "allowed_mentions": {"parse": []}}
    own = notification.data.get("discord")
    if isinstance(own, dict) and isinstance(own.get("embeds"), list):
        content["embeds"] = own["embeds"]
    return content


def _fault(response: HttpResponse) -> StepFault | None:
    answer = _object(response)
    code = answer.get("code")
    reason = ""
    if isinstance(code, int) and code:
        meaning = _MEANINGS.get(code)
        reason = f"{meaning} (code {code})" if meaning else f"code {code}"
    fault = refusal(response, "Discord", reason)
    patience = answer.get("retry_after")
    if isinstance(fault, ProviderRateLimited) and isinstance(patience, int | float):
        # Finer than the header, which is in whole seconds.
        fault.retry_after_seconds = max(float(patience), 0.0)
    return fault


def _object(response: HttpResponse) -> dict[str, Any]:
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
