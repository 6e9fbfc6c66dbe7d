"""The plugin's settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from codex32 import CAPABILITIES, ModelInfo, Problem, address_fault, unknown_settings
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
    yield from unknown_settings(config, _KEYS)
    if (url := config.get("base_url")) is not None:
        wrong = None if isinstance(url, str) else f"write an address, not {url!r}"
        if fault := wrong or address_fault(url, ANTHROPIC_URL):
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
    yield from unknown_settings(about or {}, _MODEL, f"{path}.")
    for key, value in (about or {}).items():
        if key not in _MODEL:
            continue
        if _MODEL[key] is int and not _is_count(value):
            yield Problem(f"write a number of tokens, not {value!r}", f"{path}.{key}")
        elif not isinstance(value, _MODEL[key]):
            kind = "a list" if _MODEL[key] is list else "a text"
            yield Problem(f"write {kind}, not {value!r}", f"{path}.{key}")
        elif isinstance(value, list) and (strange := set(map(str, value)) - CAPABILITIES):
            told = f"{min(strange)!r} is none of: {', '.join(sorted(CAPABILITIES))}"
            yield Problem(told, f"{path}.{key}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
