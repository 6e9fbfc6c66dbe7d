"""Addresses of servers: as a client is told them, and as anybody may read them."""

from __future__ import annotations

from yarl import URL


def place(url: str) -> str:
    """Host and port, as a client is told them."""
    where = URL(url)
    host = f"[{where.raw_host}]" if ":" in (where.raw_host or "") else where.raw_host
    return f"{host}:{where.port}"


def shown(url: str) -> str:
    """An address without its path and its query: either may be all that a server asks to see."""
    scheme, _, rest = url.partition("://")
    host, slash, _ = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host}/…" if slash else f"{scheme}://{host}"


def unpathed(text: str, url: str) -> str:
    """A text without the path and the query of an address that it may name."""
    path = URL(url).raw_path
    return text.replace(path, "/…") if path.strip("/") else text
