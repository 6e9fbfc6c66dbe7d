"""The plugin's settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from codex32 import CAPABILITIES, ModelInfo, Problem, did_you_mean
from codex32_anthropic.catalogue import MODELS

ANTHROPIC_URL = "https://api.anthropic.com"
_KEYS = ("base_url", "secret", "models", "max_tokens")
_MODEL: Mapping[str, type] = {
    "context_tokens": int,
    "output_tokens": int,
    "capabilities": list,
    "retires_on": str,
}
_MAX_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The service.

    Attributes:
      base_url: Without the version, such as ``https://api.anthropic.com``.
      secret: Name of the secret that holds the key.
      max_tokens: Limit of an answer for which none is asked: this service wants one.
    """

    base_url: str = ANTHROPIC_URL
    secret: str = "ANTHROPIC_API_KEY"  # noqa: S105 - its name
    models: tuple[ModelInfo, ...] = MODELS
    max_tokens: int = _MAX_TOKENS
    name: str = "anthropic"


def endpoint(config: Mapping[str, Any]) -> Endpoint:
    """The service as the settings say."""
    models = {model.name: model for model in MODELS}
    for name, told in (config.get("models") or {}).items():
        about = dict(told or {})
        if "capabilities" in about:
            about["capabilities"] = frozenset(about["capabilities"])
        models[name] = ModelInfo(name, **about)
    return Endpoint(
        base_url=config.get("base_url") or ANTHROPIC_URL,
        secret=config.get("secret") or "ANTHROPIC_API_KEY",
        models=tuple(models.values()),
        max_tokens=config.get("max_tokens") or _MAX_TOKENS,
    )


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Faults of the settings, each with its path below ``plugins.anthropic``."""
    for key in config:
        if key not in _KEYS:
            yield Problem(f"there is no such setting{did_you_mean(key, _KEYS)}", key)
    if (url := config.get("base_url")) is not None and (fault := _url_fault(url)):
        yield Problem(fault, "base_url")
    if (secret := config.get("secret")) is not None and not isinstance(secret, str):
        yield Problem(f"write the name of a secret, not {secret!r}", "secret")
    if (most := config.get("max_tokens")) is not None and not _is_count(most):
        yield Problem(f"write a number of tokens, not {most!r}", "max_tokens")
    models = config.get("models")
    if models is not None and not isinstance(models, Mapping):
        yield Problem(f"write a table, not {models!r}", "models")
        return
    for name, about in (models or {}).items():
        yield from _model_problems(about, f"models.{name}")


def _model_problems(about: Any, path: str) -> Iterator[Problem]:
    if about is not None and not isinstance(about, Mapping):
        yield Problem(f"write a table, not {about!r}", path)
        return
    for key, value in (about or {}).items():
        if key not in _MODEL:
            told = f"there is no such setting{did_you_mean(key, _MODEL)}"
            yield Problem(told, f"{path}.{key}")
        elif _MODEL[key] is int and not _is_count(value):
            yield Problem(f"write a number of tokens, not {value!r}", f"{path}.{key}")
        elif not isinstance(value, _MODEL[key]):
            kind = "a list" if _MODEL[key] is list else "a text"
            yield Problem(f"write {kind}, not {value!r}", f"{path}.{key}")
        elif isinstance(value, list) and (strange := set(map(str, value)) - CAPABILITIES):
            told = f"{min(strange)!r} is none of: {', '.join(sorted(CAPABILITIES))}"
            yield Problem(told, f"{path}.{key}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _url_fault(url: Any) -> str | None:
    if not isinstance(url, str):
        return f"write an address, not {url!r}"
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return f"{url!r} is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        return f"{url!r} is no address; write for example {ANTHROPIC_URL}"
    if parts.username or parts.password or parts.query:
        return "an address holds no key; name the secret that holds it in secret"
    return None
