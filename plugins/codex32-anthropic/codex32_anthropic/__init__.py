"""Language models of Anthropic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import LLMProvider, Problem, hookimpl


@hookimpl
def register_llm_providers(config: Mapping[str, Any]) -> Iterable[LLMProvider]:
    """Offer ``anthropic:…``."""
    from codex32_anthropic.provider import AnthropicProvider
    from codex32_anthropic.settings import endpoint

    return [AnthropicProvider(endpoint(config))]


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Name what is wrong in the settings, with its path."""
    from codex32_anthropic.settings import problems

    return list(problems(config))
