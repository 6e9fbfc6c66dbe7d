"""The plugin's settings: OpenAI itself, and endpoints that speak its wire."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from codex32 import CAPABILITIES, ModelInfo, Problem, address_fault, unknown_settings
from codex32_openai.catalogue import EMBEDDERS, MODELS, READ_BY_ANY, READ_BY_OPENAI

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
_EMBEDDER: Mapping[str, type] = {"dimension": int, "context_tokens": int}
_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """What is known of an embedder.

    Attributes:
      dimension: Numbers in each of its vectors.
      context_tokens: How many tokens of a text it reads.
    """

    dimension: int
    context_tokens: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One service.

    Attributes:
      name: The provider's; models are called ``name:model``.
      base_url: With the version, such as ``http://127.0.0.1:11434/v1``.
      secret: Name of the secret that holds the key; None sends none.
      models: Those that are known.
      embedders: Those it offers, by model.
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
    embedders: Mapping[str, EmbedderInfo] = field(default_factory=dict)
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
        embedders=_embedders({**EMBEDDERS, **(config.get("embedders") or {})}, READ_BY_OPENAI),
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
        embedders=_embedders(table.get("embedders"), READ_BY_ANY),
        price_list=table.get("price_list", ""),
        free=free,
        stream=table.get("stream", True),
        stream_usage=table.get("stream_usage", True),
        max_tokens_name=table.get("max_tokens_name", "max_tokens"),
    )


def _embedders(table: Mapping[str, Any] | None, context_tokens: int) -> dict[str, EmbedderInfo]:
    """By model; where only the dimension is told, ``context_tokens`` are read."""
    found = {}
    for model, told in (table or {}).items():
        about = {"dimension": told} if isinstance(told, int) else told
        found[model] = EmbedderInfo(**{"context_tokens": context_tokens, **about})
    return found


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
    if isinstance(url := table.get("base_url"), str) and (fault := address_fault(url, OPENAI_URL)):
        yield Problem(fault, f"{path}base_url")
    if (limit := table.get("max_tokens_name")) is not None and limit not in _LIMITS:
        yield Problem(f"{limit!r} is none of: {', '.join(_LIMITS)}", f"{path}max_tokens_name")
    if isinstance(embedders := table.get("embedders"), Mapping):
        for model, told in embedders.items():
            yield from _embedder_problems(told, f"{path}embedders.{model}")
    if isinstance(models := table.get("models"), Mapping):
        for model, about in models.items():
            yield from _model_problems(about, f"{path}models.{model}")


def _embedder_problems(told: Any, path: str) -> Iterator[Problem]:
    if isinstance(told, Mapping):
        yield from _key_problems(told, _EMBEDDER, f"{path}.")
        if told.get("dimension") is None:
            yield Problem("write how many numbers its vectors have", f"{path}.dimension")
    elif not _is_a(int, told):
        yield Problem(f"write how many numbers its vectors have, not {told!r}", path)


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
    yield from unknown_settings(table, known, path)
    for key, value in table.items():
        if key in known and value is not None and not _is_a(known[key], value):
            told = {dict: "a table", list: "a list", bool: "true or false", int: "a number"}
            yield Problem(f"write {told.get(known[key], 'a text')}, not {value!r}", f"{path}{key}")


def _is_a(kind: type, value: Any) -> bool:
    if kind is int and (isinstance(value, bool) or (isinstance(value, int) and value < 1)):
        return False
    return isinstance(value, kind)
