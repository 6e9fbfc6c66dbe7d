"""How GitHub, Stripe, Slack and others sign what they send.

Signatures are made over the bytes that came, compared in constant time, and where a scheme tells
the time of sending, a delivery counts for five minutes around it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from codex32 import WebhookRefused, WebhookRequest, WebhookScheme

#: How far the clocks of sender and house may be apart, the way of the delivery included.
WINDOW_SECONDS = 300.0

Encode = Callable[[bytes], str]


def hex_text(digest: bytes) -> str:
    """A digest in lower-case hexadecimal."""
    return digest.hex()


def base64_text(digest: bytes) -> str:
    """A digest in base 64."""
    return base64.b64encode(digest).decode()


def _mac(key: bytes, *parts: bytes) -> bytes:
    made = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        made.update(part)
    return made.digest()


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(errors="replace"), b.encode(errors="replace"))


def _any_same(made: Iterable[str], given: Sequence[str]) -> bool:
    """Whether one of each is the same; all are compared, so that time tells nothing."""
    return any([_same(a, b) for a in made for b in given])


def _given(request: WebhookRequest, name: str) -> str | None:
    """A header, which may come once; None where it is missing or empty."""
    if name in request.repeated:
        raise WebhookRefused(f"the header {name} came more than once")
    return request.headers.get(name) or None


def _header(request: WebhookRequest, name: str) -> str:
    value = _given(request, name)
    if value is None:
        raise WebhookRefused(f"the header {name} is missing")
    return value


def _check_time(text: str, now: float) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise WebhookRefused("the time of sending is no number of seconds")
    late = now - int(text)
    if abs(late) > WINDOW_SECONDS:
        way = "ago" if late > 0 else "from now"
        raise WebhookRefused(f"it was signed {abs(late):.0f} s {way}; is a clock wrong?")


def _text_id(body: bytes, name: str) -> str | None:
    """A text of the JSON object that ``body`` is, or None."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def _digest(*parts: bytes) -> str:
    return _mac(b"delivery", *parts).hex()


class _Timed(WebhookScheme):
    """A scheme whose signature covers the time of sending."""

    @abstractmethod
    def _read(self, request: WebhookRequest) -> tuple[str, list[str]]:
        """The time as it was sent, and the signatures."""

    @abstractmethod
    def _write(self, request: WebhookRequest, secret: str, time: str) -> str:
        """The signature that should be there."""

    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: float) -> str | None:
        """Compare, then look at the time."""
        time, signatures = self._read(request)
        if not _any_same((self._write(request, each, time) for each in secrets), signatures):
            raise WebhookRefused("the signature does not fit the body, its time and the secret")
        _check_time(time, now)
        return self._delivery_id(request) or _digest(time.encode(), b".", request.body)

    def _delivery_id(self, request: WebhookRequest) -> str | None:
        return None


class StandardScheme(_Timed):
    """Standard Webhooks 1.0, as https://www.standardwebhooks.com has it."""

    name: ClassVar[str] = "standard"

    def private(self) -> frozenset[str]:
        """The signatures."""
        return frozenset({"webhook-signature"})

    def sign(
        self, request: WebhookRequest, secret: str, now: float, delivery_id: str
    ) -> Mapping[str, str]:
        """Its three headers."""
        time = str(int(now))
        headers = {"webhook-id": delivery_id, "webhook-timestamp": time}
        signed = WebhookRequest(request.method, request.path, headers, {}, request.body)
        return {**headers, "webhook-signature": self._write(signed, secret, time)}

    def _read(self, request: WebhookRequest) -> tuple[str, list[str]]:
        _header(request, "webhook-id")
        signatures = _header(request, "webhook-signature").split()
        return _header(request, "webhook-timestamp"), signatures

    def _write(self, request: WebhookRequest, secret: str, time: str) -> str:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key:
            raise WebhookRefused("the secret is not `whsec_` and base 64")
        signed = f"{request.headers['webhook-id']}.{time}.".encode(errors="replace")
        return "v1," + base64_text(_mac(key, signed, request.body))

    def _delivery_id(self, request: WebhookRequest) -> str | None:
        return request.headers["webhook-id"]


class StripeScheme(_Timed):
    """The header ``Stripe-Signature``."""

    name: ClassVar[str] = "stripe"

    def private(self) -> frozenset[str]:
        """The signature."""
        return frozenset({"stripe-signature"})

    def sign(
        self, request: WebhookRequest, secret: str, now: float, delivery_id: str
    ) -> Mapping[str, str]:
        """Its one header."""
        time = str(int(now))
        return {"stripe-signature": f"t={time},v1={self._write(request, secret, time)}"}

    def _read(self, request: WebhookRequest) -> tuple[str, list[str]]:
        parts = [p.strip().partition("=") for p in _header(request, "stripe-signature").split(",")]
        times = [value for name, _, value in parts if name == "t"]
        if len(times) != 1:
            raise WebhookRefused("the header stripe-signature tells no time, or several")
        return times[0], [value for name, _, value in parts if name == "v1"]

    def _write(self, request: WebhookRequest, secret: str, time: str) -> str:
        signed = f"{time}.".encode(errors="replace")
        return _mac(secret.encode(), signed, request.body).hex()

    def _delivery_id(self, request: WebhookRequest) -> str | None:
        return _text_id(request.body, "id")


class SlackScheme(_Timed):
    """The header ``X-Slack-Signature``, and the question that Slack asks first."""

    name: ClassVar[str] = "slack"

    def private(self) -> frozenset[str]:
        """The signature."""
        return frozenset({"x-slack-signature"})

    def sign(
        self, request: WebhookRequest, secret: str, now: float, delivery_id: str
    ) -> Mapping[str, str]:
        """Its two headers."""
        time = str(int(now))
        return {
            "x-slack-request-timestamp": time,
            "x-slack-signature": self._write(request, secret, time),
        }

    def greeting(self, request: WebhookRequest) -> str | None:
        """The challenge of ``url_verification``."""
        if _text_id(request.body, "type") != "url_verification":
            return None
        return _text_id(request.body, "challenge")

    def _read(self, request: WebhookRequest) -> tuple[str, list[str]]:
        time = _header(request, "x-slack-request-timestamp")
        return time, [_header(request, "x-slack-signature")]

    def _write(self, request: WebhookRequest, secret: str, time: str) -> str:
        signed = f"v0:{time}:".encode(errors="replace")
        return "v0=" + _mac(secret.encode(), signed, request.body).hex()

    def _delivery_id(self, request: WebhookRequest) -> str | None:
        return _text_id(request.body, "event_id")


@dataclass(frozen=True, slots=True)
class HmacScheme(WebhookScheme):
    """A digest of the body in a header, as GitHub and many others send it.

    Attributes:
      header: The lower-case name of the header that holds the digest.
      prefix: What stands before it.
      encode: How it is written.
      id_header: The lower-case name of the header that names a delivery; empty where none does.
    """

    name: ClassVar[str] = "hmac-sha256"
    header: str = "x-signature-256"
    prefix: str = ""
    encode: Encode = hex_text
    id_header: str = ""

    def private(self) -> frozenset[str]:
        """The digest."""
        return frozenset({self.header})

    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: float) -> str | None:
        """Compare; nothing tells the time."""
        given = _header(request, self.header)
        if not _any_same((self._write(request, each) for each in secrets), [given]):
            raise WebhookRefused(f"the header {self.header} does not fit the body and the secret")
        return _given(request, self.id_header)

    def sign(
        self, request: WebhookRequest, secret: str, now: float, delivery_id: str
    ) -> Mapping[str, str]:
        """The digest, and the delivery's name where there is a header for it."""
        named = {self.id_header: delivery_id} if self.id_header else {}
        return {self.header: self._write(request, secret), **named}

    def _write(self, request: WebhookRequest, secret: str) -> str:
        return self.prefix + self.encode(_mac(secret.encode(), request.body))


class GitHubScheme(HmacScheme):
    """The header ``X-Hub-Signature-256``."""

    name: ClassVar[str] = "github"

    def __init__(self) -> None:
        super().__init__("x-hub-signature-256", "sha256=", id_header="x-github-delivery")


@dataclass(frozen=True, slots=True)
class BearerScheme(WebhookScheme):
    """The secret itself, in a header: whoever sees a delivery can send others.

    Attributes:
      header: The lower-case name of the header that holds it.
      id_header: As with :class:`HmacScheme`.
    """

    name: ClassVar[str] = "bearer"
    header: str = "authorization"
    id_header: str = ""

    def private(self) -> frozenset[str]:
        """The header that holds the secret."""
        return frozenset({self.header})

    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: float) -> str | None:
        """Compare."""
        given = _header(request, self.header)
        if self.header == "authorization":
            scheme, _, given = given.partition(" ")
            if scheme.lower() != "bearer":
                raise WebhookRefused("the header authorization is not `Bearer SECRET`")
        # Digests are of one length, so the comparison tells nothing of the secret's.
        made = [_digest(each.encode(errors="replace")) for each in secrets]
        if not _any_same(made, [_digest(given.encode(errors="replace"))]):
            raise WebhookRefused(f"the header {self.header} does not hold the secret")
        return _given(request, self.id_header)

    def sign(
        self, request: WebhookRequest, secret: str, now: float, delivery_id: str
    ) -> Mapping[str, str]:
        """The secret, and the delivery's name where there is a header for it."""
        named = {self.id_header: delivery_id} if self.id_header else {}
        plain = self.header != "authorization"
        return {self.header: secret if plain else f"Bearer {secret}", **named}


class NoScheme(WebhookScheme):
    """Nobody has to prove anything: whoever knows the address may send."""

    name: ClassVar[str] = "none"
    secret: ClassVar[bool] = False

    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: float) -> str | None:
        """Let everything pass."""
        return None

    def sign(
        self, request: WebhookRequest, secret: str, now: float, delivery_id: str
    ) -> Mapping[str, str]:
        """Nothing."""
        return {}
