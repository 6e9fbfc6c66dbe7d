"""Telling people and other systems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from codex32.kernel.bot import Rate
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
      approval: The step that asks people; the house puts the link to answer it below the text
        before a notifier sees the notification.
    """

    text: str
    title: str = ""
    data: Mapping[str, JSON] = field(default_factory=dict)
    idempotency_key: str = ""
    html: str = ""
    reply_to: str = ""
    update: str = ""
    secret: str = field(default="", repr=False)
    approval: str = ""


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
      rate: How often the service takes something for one target; the engine keeps to it over all
        workers, in steps without a ``rate`` of their own. None where there is no limit.
    """

    name: str
    idempotent: bool = False
    replies: bool = False
    updates: bool = False
    rate: Rate | None = None

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


class SendCall(Protocol):
    """How a notifier sends, as :meth:`Notifier.send` does."""

    def __call__(
        self,
        notifier: Notifier,
        notification: Notification,
        target: str,
        *,
        http: HttpClient,
        timeout_seconds: float,
    ) -> Awaitable[Receipt]:
        """Send, once."""
