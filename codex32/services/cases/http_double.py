"""A client for HTTP that reaches nobody: requests are answered from a list."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlencode

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import CapabilityRefused, ProviderUnavailable, StepFault
from codex32.kernel.json_values import JSON, dumps
from codex32.services.cases.case import holds

#: What the real client says of it, and under which word.
_FAULTS: Mapping[str, tuple[str, str]] = {
    "unreachable": ("cannot be reached", "http-unreachable"),
    "cut": ("broke off its answer", "http-cut"),
    "timeout": ("did not answer in time", "http-timeout"),
}


class HttpDouble:
    """Answers from ``mocks``; ``uncovered`` makes the fault of a request that none fits."""

    def __init__(
        self, mocks: Sequence[Mapping[str, Any]], uncovered: Callable[[str], StepFault]
    ) -> None:
        self._mocks = mocks if isinstance(mocks, Sequence) else ()
        self._uncovered = uncovered
        self._served: Counter[int] = Counter()

    def for_hosts(
        self, hosts: Sequence[str], allowed: Callable[[Sequence[str], str], bool]
    ) -> HttpClient:
        """The client of a bot that may reach ``hosts``."""
        return _Client(self, hosts, allowed)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """What comes back.

        Raises:
          ProviderUnavailable: The mock says that no answer comes.
          StepFault: No mock fits.
        """
        url = _whole(request)
        seen = {
            "method": request.method.upper(),
            "url": url,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "json": request.json,
            "body": _body_text(request),
        }
        for index, mock in enumerate(self._mocks):
            if self._served[index] < mock.get("times", float("inf")) and _fits(mock, seen):
                self._served[index] += 1
                return _response(mock, url)
        raise self._uncovered(f"it would send {seen['method']} {url}")


class _Client(HttpClient):
    def __init__(
        self,
        double: HttpDouble,
        hosts: Sequence[str],
        allowed: Callable[[Sequence[str], str], bool],
    ) -> None:
        self._double, self._hosts, self._allowed = double, hosts, allowed

    async def send(self, request: HttpRequest) -> HttpResponse:
        if not self._allowed(self._hosts, request.url):
            raise CapabilityRefused("hosts", request.url)
        return self._double.answer(request)


def _whole(request: HttpRequest) -> str:
    if not request.query:
        return request.url
    query = urlencode({name: _text(value) for name, value in request.query.items()}, doseq=True)
    return f"{request.url}{'&' if '?' in request.url else '?'}{query}"


def _text(value: JSON) -> Any:
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value if isinstance(value, str) else dumps(value)


def _body_text(request: HttpRequest) -> str:
    if request.form is not None:
        return urlencode(request.form)
    return (request.body or b"").decode(errors="replace")


def _fits(mock: Mapping[str, Any], seen: Mapping[str, JSON]) -> bool:
    if not fnmatchcase(str(seen["url"]), _pattern(mock["url"])):
        return False
    if mock.get("method", seen["method"]).upper() != seen["method"]:
        return False
    return holds(mock.get("if", True), {"request": dict(seen)})


def _pattern(url: str) -> str:
    """Only the star stands for others; URLs hold question marks and brackets of their own."""
    return url.replace("[", "[[]").replace("?", "[?]")


def _response(mock: Mapping[str, Any], url: str) -> HttpResponse:
    if "error" in mock:
        what, code = _FAULTS[mock["error"]]
        raise ProviderUnavailable(f"{url} {what}", code=code)
    body = mock.get("body", "")
    headers = {name.lower(): value for name, value in mock.get("headers", {}).items()}
    if not isinstance(body, str):
        headers.setdefault("content-type", "application/json")
        body = json.dumps(body, ensure_ascii=False)
    return HttpResponse(mock.get("status", 200), headers, body.encode(), url)
