"""One HTTP request, or as many as an answer has pages."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from codex32 import (
    JSON,
    BotType,
    Clock,
    Effect,
    Failed,
    HttpRequest,
    HttpResponse,
    Outcome,
    Problem,
    ProviderUnavailable,
    StepContext,
    StepFault,
    Succeeded,
    SystemClock,
    parse_duration,
    parse_size,
)
from codex32.builtin.bot_types.http_answer import is_expected, parsed, refusal
from codex32.builtin.bot_types.http_schema import PARAMS

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_BODIES = ("json", "form", "body")
_DEFAULT_MAX_PAGES = 10
_DEFAULT_REDIRECTS = 5


class HttpBotType(BotType):
    """Sends a request through the guarded client and reads the answer.

    Requests that change something carry the step's idempotency key in ``Idempotency-Key``; only
    where the author names the key (there or on the step) is the step taken for idempotent.
    """

    name: ClassVar[str] = "http"
    summary: ClassVar[str] = "Send an HTTP request."
    only_reads: ClassVar[bool] = True
    params_schema: ClassVar[Mapping[str, Any]] = PARAMS
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": {},
            "url": {"type": "string"},
        },
        "required": ["status", "headers", "body", "url"],
        "additionalProperties": False,
    }

    def __init__(self, clock: Clock = SystemClock.shared) -> None:
        self._clock = clock

    def effect(self, params: Mapping[str, JSON]) -> Effect:
        """Whether the method changes something, and the author names a key for it."""
        if params.get("method", "GET") in _READING:
            return Effect.NONE
        named = any(name.lower() == "idempotency-key" for name in params.get("headers", {}))
        return Effect.IDEMPOTENT if named else Effect.ONCE

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """What can be told of the URL, the body, the limits and the pages."""
        faults = []
        url = params.get("url", "${{")
        if "${{" not in url and not url.lower().startswith(("http://", "https://")):
            faults.append(Problem("must begin with https:// or http://", path="url", code="url"))
        if len(given := [key for key in _BODIES if key in params]) > 1:
            message = f"only one of json, form and body may be given, not {' and '.join(given)}"
            faults.append(Problem(message, path=given[-1], code="conflict"))
        if "page" in params and params.get("method", "GET") != "GET":
            faults.append(Problem("only GET has pages", path="page", code="conflict"))
        return faults + _size_faults(params.get("max_bytes"))

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Send, and judge the answer."""
        effect = self.effect(params)
        request = self._request(context, params, effect)
        try:
            if "page" in params:
                return await self._pages(context, params, request)
            response = await context.http.send(request)
        except ProviderUnavailable as fault:
            if fault.fault_code == "http-unreachable" or effect is not Effect.ONCE:
                raise
            return Failed(fault.message, retryable=True, unknown=True, code=fault.fault_code)
        if not is_expected(response.status, params.get("expect", "2xx")):
            return refusal(request, response, effect, self._clock.now())
        return Succeeded(_output(response, parsed(response, params.get("parse", "auto"))))

    async def _pages(
        self, context: StepContext, params: Mapping[str, JSON], request: HttpRequest
    ) -> Outcome:
        page, bodies = params["page"], []
        limit = page.get("max_pages", _DEFAULT_MAX_PAGES)
        while True:
            response = await context.http.send(request)
            if not is_expected(response.status, params.get("expect", "2xx")):
                return refusal(request, response, Effect.NONE, self._clock.now())
            bodies.append(parsed(response, params.get("parse", "auto")))
            following = context.evaluate(page["next"], response=_output(response, bodies[-1]))
            if following is None or following == "":
                break
            if len(bodies) == limit:
                context.log(f"stopped after {limit} pages (page.max_pages)", level="warning")
                break
            request = replace(request, url=_next_url(response.url, following), query={})
        return Succeeded(_output(response, bodies))

    def _request(
        self, context: StepContext, params: Mapping[str, JSON], effect: Effect
    ) -> HttpRequest:
        left = (context.deadline_at - self._clock.now()).total_seconds()
        timeout = parse_duration(params.get("timeout", "30s"))
        headers = {**_credentials(params.get("auth", {})), **params.get("headers", {})}
        if effect is Effect.ONCE:
            headers["Idempotency-Key"] = context.step.idempotency_key
        body = params.get("body")
        return HttpRequest(
            params["url"],
            params.get("method", "GET"),
            headers=headers,
            query=params.get("query", {}),
            json=params.get("json"),
            has_json="json" in params,
            form=params.get("form"),
            body=None if body is None else body.encode(),
            timeout_seconds=max(min(timeout, left), 0.001),
            max_bytes=_limit(params.get("max_bytes", "10MiB")),
            follow=_redirects(params.get("follow", False)),
        )


def _credentials(auth: Mapping[str, JSON]) -> dict[str, str]:
    if "bearer" in auth:
        return {"Authorization": f"Bearer {auth['bearer']}"}
    if "basic" in auth:
        pair = f"{auth['basic']['username']}:{auth['basic']['password']}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _output(response: HttpResponse, body: JSON) -> dict[str, JSON]:
    return {
        "status": response.status,
        "headers": dict(response.headers),
        "body": body,
        "url": response.url,
    }


def _next_url(current: str, following: JSON) -> str:
    if not isinstance(following, str):
        raise StepFault(f"page.next must yield a URL or null, not {following!r}", code="page")
    url = urljoin(current, following)
    # Pages are asked for with the credentials of the first one.
    if urlsplit(url)[:2] != urlsplit(current)[:2]:
        raise StepFault("page.next leads to another host; it must stay on the first", code="page")
    return url


def _bytes(size: str | int) -> int:
    return size if isinstance(size, int) else parse_size(size)


def _limit(size: str | int) -> int:
    try:
        return _bytes(size)
    except ValueError as error:
        raise StepFault(f"max_bytes: {error}", code="size") from None


def _redirects(follow: bool | int) -> int:
    return _DEFAULT_REDIRECTS if follow is True else int(follow)


def _size_faults(size: JSON) -> list[Problem]:
    try:
        if size is not None and "${{" not in str(size):
            _bytes(size)
    except ValueError as error:
        return [Problem(str(error), path="max_bytes", code="size")]
    return []
