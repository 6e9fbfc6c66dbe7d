"""HTTP without a network: answers are written down before, requests are kept."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from codex32 import JSON, HttpClient, HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class _Rule:
    method: str
    pattern: str
    answer: HttpResponse | Exception
    once: bool


@dataclass(slots=True)
class FakeHttp(HttpClient):
    """A guarded client that knows only the answers it was given.

    Attributes:
      requests: Every request that was sent, in order.
    """

    requests: list[HttpRequest] = field(default_factory=list)
    _rules: list[_Rule] = field(default_factory=list, init=False)

    def answer(
        self,
        url: str = "*",
        *,
        method: str = "*",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        json: JSON = None,
        once: bool = False,
    ) -> None:
        """Answer requests whose URL matches ``url`` (``*`` and ``?`` are wildcards).

        Rules are tried in the order they were made; one made with ``once`` answers one request.
        """
        said = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            body = json_module.dumps(json)
            said.setdefault("content-type", "application/json")
        data = body.encode() if isinstance(body, str) else body
        response = HttpResponse(status=status, headers=said, body=data, url=url)
        self._rules.append(_Rule(method, url, response, once))

    def fail(
        self, error: Exception, url: str = "*", *, method: str = "*", once: bool = False
    ) -> None:
        """Raise ``error`` where a request matches, as the real client raises its faults."""
        self._rules.append(_Rule(method, url, error, once))

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer that was written down for this request.

        Raises:
          AssertionError: None was; the message lists what there is.
        """
        self.requests.append(request)
        for rule in self._rules:
            if fnmatchcase(request.method, rule.method) and fnmatchcase(request.url, rule.pattern):
                if rule.once:
                    self._rules.remove(rule)
                if isinstance(rule.answer, Exception):
                    raise rule.answer
                said = rule.answer
                return HttpResponse(said.status, said.headers, said.body, request.url)
        known = ", ".join(f"{rule.method} {rule.pattern}" for rule in self._rules) or "none"
        raise AssertionError(
            f"no answer is written down for {request.method} {request.url}; there are: {known}"
        )
