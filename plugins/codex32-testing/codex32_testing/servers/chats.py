"""Slack, Discord, Telegram and Teams, as far as notifications need them."""

from __future__ import annotations

import re
from typing import Any

from codex32_testing.servers.base import Answer, Asked, ServiceServer


class SlackServer(ServiceServer):
    """Incoming webhooks at ``/services/…`` and the Web API at ``/api/…``.

    Attributes:
      messages: Every message by ``(channel, ts)``; those of webhooks are in the channel ``hook``.
    """

    token, channel = "xoxb-1-S3CRET", "C0123"

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}

    @property
    def webhook(self) -> str:
        """The URL of an incoming webhook."""
        return self.url("/services/T1/B1/S3CRET")

    @property
    def api(self) -> str:
        """Where the Web API is."""
        return self.url("/api")

    def answer(self, asked: Asked) -> Answer:
        """Post, or change."""
        if asked.path == "/services/T1/B1/S3CRET":
            message = asked.json()
            if not message.get("text"):
                return Answer(400, text="no_text")
            self._keep("hook", message)
            return Answer(text="ok")
        if not asked.path.startswith("/api/"):
            return Answer(404, text="no_service")
        error = self._refused(asked)
        if error:
            return Answer(json={"ok": False, "error": error})
        return Answer(json={"ok": True, **self._call(asked.path[5:], asked.json())})

    def _refused(self, asked: Asked) -> str:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return "invalid_auth"
        message, method = asked.json(), asked.path[5:]
        if message.get("channel") not in (self.channel, "#general"):
            return "channel_not_found"
        if not message.get("text"):
            return "no_text"
        if method == "chat.update" and (self.channel, message["ts"]) not in self.messages:
            return "message_not_found"
        return "" if method in ("chat.postMessage", "chat.update") else "unknown_method"

    def _call(self, method: str, message: dict[str, Any]) -> dict[str, Any]:
        if method == "chat.update":
            self.messages[self.channel, message["ts"]].update(message)
            return {"channel": self.channel, "ts": message["ts"]}
        return {"channel": self.channel, "ts": self._keep(self.channel, message)}

    def _keep(self, channel: str, message: dict[str, Any]) -> str:
        moment = f"1767225600.{len(self.messages):06}"
        self.messages[channel, moment] = dict(message)
        return moment


class DiscordServer(ServiceServer):
    """A webhook, with which messages are posted and edited.

    Attributes:
      messages: Every message by its id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}

    @property
    def webhook(self) -> str:
        """Its URL."""
        return self.url("/api/webhooks/1/S3CRET")

    def answer(self, asked: Asked) -> Answer:
        """Post, or edit."""
        found = re.fullmatch(r"/api/webhooks/1/S3CRET(?:/messages/(\d+))?", asked.path)
        if found is None:
            return Answer(404, json={"message": "Unknown Webhook", "code": 10015})
        message = asked.json()
        if not 0 < len(message.get("content", "").encode("utf-16-le")) // 2 <= 2000:
            return Answer(400, json={"message": "Invalid Form Body", "code": 50035})
        if found[1] is None and asked.method == "POST":
            number = str(1_000_000_000_000_000_000 + len(self.messages))
            self.messages[number] = message
            if asked.query.get("wait") != "true":
                return Answer(204)
            return Answer(json={"id": number, "content": message["content"]})
        if found[1] not in self.messages or asked.method != "PATCH":
            return Answer(404, json={"message": "Unknown Message", "code": 10008})
        self.messages[found[1]].update(message)
        return Answer(json={"id": found[1], "content": message["content"]})


class TelegramServer(ServiceServer):
    """The Bot API for one bot in one chat.

    Attributes:
      messages: Every message by its id.
    """

    token, chat = "123:AbC_S3CRET", "-1001"

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[int, dict[str, Any]] = {}

    def answer(self, asked: Asked) -> Answer:
        """Send, or edit."""
        found = re.fullmatch(r"/bot([^/]+)/(\w+)", asked.path)
        if found is None or found[1] != self.token:
            return _not_ok(401, "Unauthorized")
        message = asked.json()
        if message.get("chat_id") != self.chat:
            return _not_ok(400, "Bad Request: chat not found")
        if not 0 < len(message.get("text", "").encode("utf-16-le")) // 2 <= 4096:
            return _not_ok(400, "Bad Request: message is too long")
        if found[2] == "sendMessage":
            number = len(self.messages) + 1
            self.messages[number] = message
            return Answer(json={"ok": True, "result": {"message_id": number}})
        if found[2] != "editMessageText":
            return _not_ok(404, "Not Found")
        number = message["message_id"]
        if number not in self.messages:
            return _not_ok(400, "Bad Request: message to edit not found")
        if self.messages[number]["text"] == message["text"]:
            return _not_ok(400, "Bad Request: message is not modified: specified new message …")
        self.messages[number].update(message)
        return Answer(json={"ok": True, "result": {"message_id": number}})


def _not_ok(status: int, description: str) -> Answer:
    answer = {"ok": False, "error_code": status, "description": description}
    return Answer(status, json=answer)


class TeamsServer(ServiceServer):
    """A workflow that posts the cards it is handed.

    Attributes:
      cards: Every card that was posted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[dict[str, Any]] = []

    @property
    def webhook(self) -> str:
        """Its URL."""
        return self.url("/workflows/S3CRET/triggers/manual/paths/invoke?sig=S3CRET")

    def answer(self, asked: Asked) -> Answer:
        """Post a card."""
        if asked.query.get("sig") != "S3CRET":
            return Answer(401, json={"error": {"code": "AuthorizationFailed"}})
        if len(asked.body) > 28 * 1024:
            return Answer(413)
        message = asked.json()
        cards = [each["content"] for each in message.get("attachments", [])]
        if message.get("type") != "message" or not cards:
            return Answer(400)
        self.cards.extend(cards)
        return Answer(202)
