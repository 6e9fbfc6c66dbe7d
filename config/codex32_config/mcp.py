"""The settings of MCP servers whose tools bots may use."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from codex32_config.table import Table

_SECRET_LIKE = re.compile(
    r"key|token|secret|password|passwd|credential|dsn|authorization|cookie", re.IGNORECASE
)
_REFERENCE = re.compile(r"\$\{\{\s*secrets\.[A-Za-z0-9_]+\s*\}\}")
_URL = re.compile(r"https?://[^\s/@?#]+(/[^\s#]*)?")


def _url(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0]
    if "${{" in host or not _URL.fullmatch(_REFERENCE.sub("x", url)):
        raise ValueError("write https://HOST/…, without credentials")
    for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if _SECRET_LIKE.search(name):
            raise ValueError(
                f"{name} looks like a secret, and URLs are logged on their way: write a header "
                "with ${{ secrets.NAME }}"
            )
    return url


def _references(texts: dict[str, str]) -> dict[str, str]:
    for name, text in texts.items():
        if _SECRET_LIKE.search(name) and not _REFERENCE.search(text):
            raise ValueError(
                f"the value of {name} looks like a secret: write ${{{{ secrets.NAME }}}}"
            )
        if "${{" in _REFERENCE.sub("", text):
            raise ValueError(f"{name}: only ${{{{ secrets.NAME }}}} is understood here")
    return texts


_Texts = Annotated[dict[str, str], AfterValidator(_references)]


def _secret(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise ValueError("write ${{ secrets.NAME }}")
    return text


class McpOauthSettings(Table):
    """What the house is at the authorization server of a URL (client credentials)."""

    token_url: Annotated[str, Field(pattern=r"^https?://[^\s/@?#$]+(/[^\s#?$]*)?$")]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Annotated[str, AfterValidator(_secret)]
    scope: str = ""


class McpServerSettings(Table):
    """One server: a command that is started, or a URL that is spoken to."""

    command: tuple[str, ...] = ()
    url: Annotated[str, AfterValidator(_url)] | None = None
    env: _Texts = Field(default_factory=dict)
    headers: _Texts = Field(default_factory=dict)
    oauth: McpOauthSettings | None = None
    workspaces: tuple[str, ...] = ("default",)

    @model_validator(mode="after")
    def _either(self) -> McpServerSettings:
        if bool(self.command) == (self.url is not None):
            raise ValueError("write command (a list), or url")
        if self.env and self.url is not None:
            raise ValueError("env is for a command; a url has headers")
        if (self.headers or self.oauth) and self.command:
            raise ValueError("headers and oauth are for a url; a command has env")
        if self.oauth and "authorization" in map(str.lower, self.headers):
            raise ValueError("oauth makes the header Authorization; leave it out of headers")
        return self


class McpSettings(Table):
    """Servers by name."""

    servers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")], McpServerSettings]
    processes: PositiveInt
