"""The plugin's settings: OpenAI itself, and endpoints that speak its wire."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from codex32 import CAPABILITIES, ModelInfo, Problem, did_you_mean
from codex32_openai.catalogue import EMBEDDERS, MODELS

OPENAI_URL = "https://api.openai.com/v1"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
#: Keys that both tables know, and what stands under them.
_SHARED: Mapping[str, type] = {
    "base_url": str,
    "secret": str,
    "models": dict,
    "embedders": dict,
    "price_list": str,
}
_ENDPOINT: Mapping[str, type] = {
    **_SHARED,
    "free": bool,
    "stream": bool,
    "stream_usage": bool,
    "max_tokens_name": str,
}
_OPENAI: Mapping[str, type] = {
    **_SHARED,
    "organization": str,
    "project": str,
    "endpoints": dict,
}
_MODEL: Mapping[str, type] = {
    "context_tokens": int,
    "output_tokens": int,
    "capabilities": list,
    "retires_on": str,
}
_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One service.

    Attributes:
      name: The provider's; models are called ``name:model``.
      base_url: With the version, such as ``http://127.0.0.1:11434/v1``.
      secret: Name of the secret that holds the key; None sends none.
      models: Those that are known.
      embedders: Dimension of its vectors by model.
      price_list: As in the contract.
      free: Whether nobody bills for it.
      stream: Whether it can stream; without, the whole answer comes at once.
      stream_usage: Whether it takes ``stream_options``, without which streams tell no usage.
      max_tokens_name: What it calls the limit of an answer.
    """

    name: str
    base_url: str
    secret: str | None
    models: tuple[ModelInfo, ...] = ()
    embedders: Mapping[str, int] = field(default_factory=dict)
    price_list: str | None = None
    free: bool = False
    stream: bool = True
    stream_usage: bool = True
    max_tokens_name: str = "max_tokens"
    organization: str | None = None
    project: str | None = None


def endpoints(config: Mapping[str, Any]) -> list[Endpoint]:
    """OpenAI, then the named endpoints in the order of the settings."""
    return [_openai(config)] + [
        _endpoint(name, table) for name, table in (config.get("endpoints") or {}).items()
    ]


def _openai(config: Mapping[str, Any]) -> Endpoint:
    own = {**{model.name: model for model in MODELS}, **_models(config, free=False)}
    return Endpoint(
        name="openai",
        base_url=config.get("base_url") or OPENAI_URL,
        secret=config.get("secret", "OPENAI_API_KEY"),
        models=tuple(own.values()),
        embedders={**EMBEDDERS, **(config.get("embedders") or {})},
        price_list=config.get("price_list"),
        max_tokens_name="max_completion_tokens",
        organization=config.get("organization"),
        project=config.get("project"),
    )


def _endpoint(name: str, table: Mapping[str, Any]) -> Endpoint:
    free = table.get("free", False)
    return Endpoint(
        name=name,
        base_url=table["base_url"],
        secret=table.get("secret"),
        models=tuple(_models(table, free=free).values()),
        embedders=table.get("embedders") or {},
        price_list=table.get("price_list", ""),
        free=free,
        stream=table.get("stream", True),
        stream_usage=table.get("stream_usage", True),
        max_tokens_name=table.get("max_tokens_name", "max_tokens"),
    )


def _models(table: Mapping[str, Any], *, free: bool) -> dict[str, ModelInfo]:
    found = {}
    for name, told in (table.get("models") or {}).items():
        about = dict(told or {})
        if "capabilities" in about:
            about["capabilities"] = frozenset(about["capabilities"])
        found[name] = ModelInfo(name, free=free, **about)
    return found


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Faults of the settings, each with its path below ``plugins.openai``."""
    yield from _table_problems(config, _OPENAI, "")
    named = config.get("endpoints")
    if not isinstance(named, Mapping):
        return
    for name, table in named.items():
        path = f"endpoints.{name}"
        if not _NAME.fullmatch(str(name)) or name == "openai":
            yield Problem(f"{name!r} cannot name an endpoint; write for example local", path)
        if not isinstance(table, Mapping):
            yield Problem("write base_url and, if one is needed, secret below it", path)
            continue
        if not table.get("base_url"):
            yield Problem("write its address, such as http://127.0.0.1:11434/v1", path)
        yield from _table_problems(table, _ENDPOINT, f"{path}.")


def _table_problems(
    table: Mapping[str, Any], known: Mapping[str, type], path: str
) -> Iterator[Problem]:
    yield from _key_problems(table, known, path)
    if isinstance(url := table.get("base_url"), str) and (fault := url_fault(url)):
        yield Problem(fault, f"{path}base_url")
    if (limit := table.get("max_tokens_name")) is not None and limit not in _LIMITS:
        yield Problem(f"{limit!r} is none of: {', '.join(_LIMITS)}", f"{path}max_tokens_name")
    if isinstance(embedders := table.get("embedders"), Mapping):
        for model, dimension in embedders.items():
            if not isinstance(dimension, int) or isinstance(dimension, bool) or dimension < 1:
                told = f"write how many numbers its vectors have, not {dimension!r}"
                yield Problem(told, f"{path}embedders.{model}")
    if isinstance(models := table.get("models"), Mapping):
        for model, about in models.items():
            yield from _model_problems(about, f"{path}models.{model}")


def _model_problems(about: Any, path: str) -> Iterator[Problem]:
    if about is None:
        return
    if not isinstance(about, Mapping):
        yield Problem(f"write a table, not {about!r}", path)
        return
    yield from _key_problems(about, _MODEL, f"{path}.")
    given = about.get("capabilities")
    for word in given if isinstance(given, list) else ():
        if word not in CAPABILITIES:
            told = f"{word!r} is none of: {', '.join(sorted(CAPABILITIES))}"
            yield Problem(told, f"{path}.capabilities")


def _key_problems(
    table: Mapping[str, Any], known: Mapping[str, type], path: str
) -> Iterator[Problem]:
    for key, value in table.items():
        if key not in known:
            yield Problem(f"there is no such setting{did_you_mean(key, known)}", f"{path}{key}")
        elif value is not None and not _is_a(known[key], value):
            told = {dict: "a table", list: "a list", bool: "true or false", int: "a number"}
            yield Problem(f"write {told.get(known[key], 'a text')}, not {value!r}", f"{path}{key}")


def _is_a(kind: type, value: Any) -> bool:
    if kind is int and (isinstance(value, bool) or (isinstance(value, int) and value < 1)):
        return False
    return isinstance(value, kind)


def url_fault(url: str) -> str | None:
    """What is wrong with an address, or None. Keys in addresses would end up in logs."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return f"{url!r} is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        return f"{url!r} is no address; write for example {OPENAI_URL}"
    if parts.username or parts.password or parts.query:
        return "an address holds no key; name the secret that holds it in secret"
    return None
