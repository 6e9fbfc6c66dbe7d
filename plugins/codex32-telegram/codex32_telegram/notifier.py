"""Messages to Telegram, through the Bot API."""

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
    Rate,
    Receipt,
    StepFault,
    refusal,
    send_once,
)

_TARGET = re.compile(r"(\d+:[A-Za-z0-9_-]+)/(-?\d+|@[A-Za-z0-9_]+)(?:/(\d+))?")
#: The longest text, in units of UTF-16, as Telegram counts.
_LONGEST = 4096
_CUT = "… (cut)"
_MAX_ANSWER_BYTES = 256 * 1024
_UNCHANGED = "message is not modified"
#: What a description may say that is told on: others may quote the text that was sent.
_REASONS = (
    "chat not found",
    "message thread not found",
    "TOPIC_CLOSED",
    "message to edit not found",
    "message can't be edited",
    "message is too long",
    "bot was kicked",
    "bot was blocked by the user",
    "bot is not a member",
    "bot can't initiate conversation with a user",
    "user is deactivated",
    "not enough rights",
)
_UNKNOWN_BOT = "it does not know the bot's token"


class Telegram(Notifier):
    """Sends as the bot and to the chat that the target names: ``BOT_TOKEN/CHAT_ID``.

    A topic of the chat stands behind it: ``BOT_TOKEN/CHAT_ID/TOPIC_ID``. Text is plain: what came
    from outside cannot format or break a message.
    """

    name = "telegram"
    replies = True
    updates = True
    # Telegram asks for no more than one message a second in a chat.
    rate = Rate(1, 1.0)

    def __init__(self, api: str) -> None:
        self._api = api.rstrip("/")

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Send or edit once; ``id`` is the message's in its chat."""
        found = _TARGET.fullmatch(target)
        if found is None:
            raise ProviderRejected("the target is not BOT_TOKEN/CHAT_ID, such as 123:ABC…/-100123")
        method, message = "sendMessage", {"chat_id": found[2], **_content(notification)}
        if notification.update:
            method = "editMessageText"
            message["message_id"] = _message_id(notification.update, "update")
        elif found[3]:
            message["message_thread_id"] = int(found[3])
        if notification.reply_to and not notification.update:
            replied = _message_id(notification.reply_to, "reply_to")
            # The notification is worth more than its place.
            message["reply_parameters"] = {
                "message_id": replied,
                "allow_sending_without_reply": True,
            }
        request = HttpRequest(
            f"{self._api}/bot{found[1]}/{method}",
            "POST",
            json=message,
            has_json=True,
            timeout_seconds=timeout_seconds,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        response = await send_once(http, request, service="Telegram")
        return _receipt(response, notification.update)


def _receipt(response: HttpResponse, update: str) -> Receipt:
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise refusal(response, "Telegram") or EffectUnknown(
            "Telegram answered with no JSON of its own; it may have sent the message"
        )
    if not answer["ok"]:
        if update and _UNCHANGED in str(answer.get("description", "")):
            return Receipt(update)  # it was edited before, by a try that was cut
        raise _fault(answer, response)
    result = answer.get("result")
    number = result.get("message_id") if isinstance(result, dict) else None
    return Receipt(str(number or update))


def _fault(answer: dict[str, Any], response: HttpResponse) -> StepFault:
    """What an answer stands for that says it is not ok; its description may quote the text."""
    status = answer.get("error_code")
    status = status if isinstance(status, int) else response.status
    told = HttpResponse(status, response.headers, b"", "")
    description = str(answer.get("description", "")).lower()
    reason = next((each for each in _REASONS if each.lower() in description), "")
    if status in (401, 404):
        reason = reason or _UNKNOWN_BOT
    fault = refusal(told, "Telegram", reason)
    fault = fault or ProviderRejected("Telegram refused without saying why")
    parameters = answer.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    patience = parameters.get("retry_after")
    if isinstance(fault, ProviderRateLimited) and isinstance(patience, int | float):
        fault.retry_after_seconds = max(float(patience), 0.0)
    if isinstance(moved := parameters.get("migrate_to_chat_id"), int):
        return ProviderRejected(
            f"Telegram says that the chat has moved; write its new id, {moved}"
        )
    return fault


def _content(notification: Notification) -> dict[str, Any]:
    title = notification.title
    told = f"{title}\n{notification.text}" if title else notification.text
    if _units(told) > _LONGEST:
        room = (_LONGEST - len(_CUT)) * 2
        told = told.encode("utf-16-le", "replace")[:room].decode("utf-16-le", "ignore") + _CUT
    content: dict[str, Any] = {
        "text": (told.strip() and told) or "(empty)",
        "link_preview_options": {"is_disabled": True},
    }
    if title.strip():
        length = min(_units(title), _LONGEST)
        content["entities"] = [{"type": "bold", "offset": 0, "length": length}]
    return content


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _message_id(text: str, parameter: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ProviderRejected(f"{parameter} is no id that Telegram gave: a number")
    return int(text)
