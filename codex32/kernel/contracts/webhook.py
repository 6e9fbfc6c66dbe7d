"""Webhooks that come in: what a trigger serves, and how senders prove who they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from codex32.kernel.json_values import JSON

Reply = Literal["none", "accepted", "result"]

#: No webhook takes a larger body.
LARGEST_BODY = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One delivery as it came.

    Attributes:
      headers: By lower-case name; several of one name are joined by a comma and a space.
      repeated: Names of headers that came several times: none that proves something may.
      body: The bytes that were sent; signatures are over these and nothing else.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, JSON] = field(default_factory=dict)
    body: bytes = b""
    repeated: frozenset[str] = frozenset()


class WebhookRefused(Exception):
    """A delivery that is not from whom it should be; the text is for the log, not the sender."""


class WebhookScheme(ABC):
    """How the senders of a webhook prove who they are, and that nobody changed what they sent.

    Attributes:
      name: What ``codex32 hooks list`` calls it.
      secret: Whether there is a secret to be known.
    """

    name: ClassVar[str]
    secret: ClassVar[bool] = True

    @abstractmethod
    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: float) -> str | None:
        """Let a delivery pass.

        Args:
          request: As it came.
          secrets: Any of them will do, so that one can follow another; never an empty text.
          now: The present, in seconds since 1970.

        Returns:
          What names this delivery, so that one that comes again is known; None where nothing does.

        Raises:
          WebhookRefused: It does not.
        """

    @abstractmethod
    def sign(
        self, request: WebhookRequest, secret: str, now: float, delivery_id: str
    ) -> Mapping[str, str]:
        """The headers with which a sender makes ``request`` pass."""

    def private(self) -> frozenset[str]:
        """Lower-case names of headers that prove something, and that nobody else shall see."""
        return frozenset()

    def greeting(self, request: WebhookRequest) -> str | None:
        """What is answered at once to a sender who only asks whether somebody is there."""
        return None


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a trigger serves at ``/hooks/<workspace>/<path>``.

    Attributes:
      secrets: Names of the workspace's secrets, any of which a sender may use.
      reply: ``none`` (204), ``accepted`` (202 with the execution) or ``result`` (its output).
      reply_seconds: How long ``result`` waits.
      max_bytes: Of the body; at most ``LARGEST_BODY``.
    """

    path: str
    scheme: WebhookScheme
    methods: frozenset[str] = frozenset({"POST"})
    secrets: tuple[str, ...] = ()
    reply: Reply = "accepted"
    reply_seconds: float = 10.0
    max_bytes: int = 1024 * 1024
