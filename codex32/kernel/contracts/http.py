"""The guarded way to other machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. At most one of ``json``, ``form`` and ``body`` is set.

    Attributes:
      query: Added to what the URL already holds; a list repeats its name.
      timeout_seconds: Limit of the whole exchange, body included.
      max_bytes: Answers longer than this are a fault.
      cut: They are cut there instead.
      enough: Told of what has come of the body, piece by piece: whether the rest need not be
        waited for.
      follow: How many redirects may be followed; each is checked like a first request, and
        credentials are dropped where the host changes.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, JSON] = field(default_factory=dict)
    json: JSON = None
    form: Mapping[str, str] | None = None
    body: bytes | None = None
    timeout_seconds: float = 30.0
    max_bytes: int = 10 * 1024 * 1024
    follow: int = 0
    has_json: bool = False
    cut: bool = False
    enough: Callable[[bytearray], bool] | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    charset: str = "utf-8"

    def text(self) -> str:
        """The body as text; what cannot be decoded becomes U+FFFD."""
        try:
            return self.body.decode(self.charset, errors="replace")
        except LookupError:
            return self.body.decode(errors="replace")


class HttpClient(ABC):
    """Speaks HTTP, to the hosts the bot allows and to public addresses only."""

    @abstractmethod
    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one request and read the whole answer, whatever its status.

        Raises:
          CapabilityRefused: The host is not allowed, or its address is private.
          ProviderUnavailable: Nothing was sent (``sent`` is false in ``fault_code``
            ``"http-unreachable"``), or the answer was cut (``"http-cut"``) or late
            (``"http-timeout"``): the request may then have been carried out.
          ProviderRejected: The URL is no URL, or the answer is larger than ``max_bytes``.
        """
