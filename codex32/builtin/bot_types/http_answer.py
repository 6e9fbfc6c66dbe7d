"""Judging and reading the answers of servers."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from codex32 import JSON, Effect, Failed, HttpRequest, HttpResponse, StepFault, http_date
from codex32.builtin.bot_types.shown import beginning

_PATIENCE = frozenset({408, 425, 429})
#: A gateway lost the server's answer: what was asked may have been done.
_LOST_BEHIND_A_GATEWAY = frozenset({502, 504})


def is_expected(status: int, expect: JSON) -> bool:
    """Whether ``status`` is among ``expect``: ``2xx``, ``204``, or a list of such."""
    wanted = expect if isinstance(expect, list) else [expect]
    return any(str(one) in (str(status), f"{status // 100}xx") for one in wanted)


def refusal(request: HttpRequest, response: HttpResponse, effect: Effect, now: datetime) -> Failed:
    """The fault that an unexpected status is."""
    status = response.status
    return Failed(
        f"{request.method} {response.url.partition('?')[0]} answered {status}",
        retryable=status in _PATIENCE or status >= 500,
        retry_after_seconds=retry_after_seconds(response.headers.get("retry-after"), now),
        unknown=effect is Effect.ONCE and status in _LOST_BEHIND_A_GATEWAY,
        code=f"http-{status}",
        detail={"status": status, "body": beginning(response.text())},
    )


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """How long the server asks to wait: a number of seconds, or a date; None if neither."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    moment = http_date(header)
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def parsed(response: HttpResponse, how: str) -> JSON:
    """The body, read as ``auto``, ``json``, ``text`` or ``base64``.

    Raises:
      StepFault: ``json`` was asked for and the body is none.
    """
    if how == "base64":
        return base64.b64encode(response.body).decode()
    if how == "text" or (how == "auto" and not _says_json(response)):
        return response.text()
    try:
        return json.loads(response.body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if how == "auto":
            return response.text()
        raise StepFault(f"the answer is no JSON: {error}", code="http-not-json") from None


def _says_json(response: HttpResponse) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _refuse(name: str) -> JSON:
    raise ValueError(f"{name} is no JSON number")
