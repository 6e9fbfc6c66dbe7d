"""Telling people and other systems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class Notification:
    """What is told.

    Attributes:
      text: Always there; plain text, or what little markup the service itself knows.
      html: The same for services that show HTML, such as mail; empty where there is none.
      data: More, for machines.
      idempotency_key: The same for every try of one notification.
      reply_to: The ``id`` of the receipt of a notification before, which this one answers.
      update: The ``id`` of the receipt of a notification before, which this one replaces.
      secret: What the notification is signed with, where the notifier signs.
    """

    text: str
    title: str = ""
    data: Mapping[str, JSON] = field(default_factory=dict)
    idempotency_key: str = ""
    html: str = ""
    reply_to: str = ""
    update: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The service took the notification.

    ``id`` is the service's own, or empty; handed in as ``reply_to`` or ``update`` with the same
    target it names this notification. It holds no secret.
    """

    id: str = ""


class Notifier(ABC):
    """Sends a notification to a target.

    Attributes:
      name: What bots write after ``to:``.
      idempotent: Whether sending twice under one ``idempotency_key`` tells people once. The
        engine repeats an interrupted send only then.
      replies: Whether it keeps to ``reply_to``; elsewhere such a notification is refused.
      updates: Whether it keeps to ``update``; elsewhere such a notification is refused.
    """

    name: str
    idempotent: bool = False
    replies: bool = False
    updates: bool = False

    @abstractmethod
    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Send, once.

        Called by the engine for each try of a ``notify`` step, and for alerts.

        Args:
          notification: What to tell.
          target: Where to, in the notifier's own form: an address, a URL, a channel. May hold
            a secret and must not appear in errors.
          http: The guarded client; notifiers that speak another protocol do not use it.
          timeout_seconds: Limit of the whole sending.

        Raises:
          ProviderUnavailable: Worth trying again.
          ProviderRejected: Never worth trying again.
          EffectUnknown: The message may have been sent.
        """
