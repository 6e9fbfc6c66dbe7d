"""Settings of what the house says of itself: logs and metrics."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from codex32_config.table import Table


class LogSettings(Table):
    """What the processes say, and in which form."""

    level: Literal["debug", "info", "warning", "error"]
    format: Literal["text", "ecs"]


def _endpoint(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s@?#]+", url):
        raise ValueError(
            "write where OTLP over HTTP is taken, such as http://127.0.0.1:4318; "
            "a key belongs in tracing.headers"
        )
    return url.removesuffix("/").removesuffix("/v1/traces")


def _link(url: str) -> str:
    if not re.fullmatch(r"https?://\S+", url) or "{trace}" not in url:
        raise ValueError("write where a trace is shown, with {trace} in it")
    return url


def _headers(value: SecretStr) -> SecretStr:
    for part in value.get_secret_value().split(","):
        if part.strip() and not re.match(r"\s*[A-Za-z0-9-]+=", part):
            raise ValueError("write NAME=VALUE, several with commas between them")
    return value


class TracingSettings(Table):
    """Who is told of traces."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] | None
    headers: Annotated[SecretStr, AfterValidator(_headers)] | None
    sample: Annotated[float, Field(ge=0, le=1)]
    link: Annotated[str, AfterValidator(_link)] | None


def _token(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():  # such as a file that was never filled
        raise ValueError("an empty token would let everybody in; leave it out to let in nobody")
    return value


class MetricsSettings(Table):
    """What is counted, and who may see it."""

    enabled: bool
    token: Annotated[SecretStr, AfterValidator(_token)] | None
