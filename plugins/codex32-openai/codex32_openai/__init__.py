"""Models and embeddings of OpenAI, and of every service that speaks its wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Embedder, LLMProvider, Problem, hookimpl


@hookimpl
def register_llm_providers(config: Mapping[str, Any]) -> Iterable[LLMProvider]:
    """Offer ``openai:…``, and the models of each endpoint under its name."""
    from codex32_openai.provider import OpenAIProvider
    from codex32_openai.settings import endpoints

    return [OpenAIProvider(endpoint) for endpoint in endpoints(config)]


@hookimpl
def register_embedders(config: Mapping[str, Any]) -> Iterable[Embedder]:
    """Offer OpenAI's embeddings, and those that endpoints name."""
    from codex32_openai.embedder import OpenAIEmbedder
    from codex32_openai.settings import endpoints

    return [
        OpenAIEmbedder(endpoint, model, info)
        for endpoint in endpoints(config)
        for model, info in endpoint.embedders.items()
    ]


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Name what is wrong in the settings, with its path."""
    from codex32_openai.settings import problems

    return list(problems(config))
