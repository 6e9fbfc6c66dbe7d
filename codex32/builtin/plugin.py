"""The hooks of the house's own plugin; what they offer is imported where a process asks for it."""
# ruff: noqa: D103 - the specifications say what each hook is for.

from collections.abc import Mapping
from typing import Any

from codex32 import (
    BotType,
    Embedder,
    LLMProvider,
    Notifier,
    SecretStore,
    TriggerType,
    VectorStore,
    hookimpl,
)


@hookimpl
def register_bot_types() -> list[BotType]:
    from codex32.builtin.bot_types import all_bot_types

    return all_bot_types()


@hookimpl
def register_trigger_types() -> list[TriggerType]:
    from codex32.builtin.triggers import all_trigger_types

    return all_trigger_types()


@hookimpl
def register_notifiers() -> list[Notifier]:
    from codex32.builtin.notifiers import all_notifiers

    return all_notifiers()


@hookimpl
def register_secret_stores(config: Mapping[str, Any]) -> list[SecretStore]:
    from codex32.builtin.secret_stores import all_secret_stores

    return all_secret_stores(config)


@hookimpl
def register_llm_providers() -> list[LLMProvider]:
    from codex32.builtin.fakes.echo_provider import EchoProvider

    return [EchoProvider()]


@hookimpl
def register_embedders() -> list[Embedder]:
    from codex32.builtin.fakes.hash_embedder import HashEmbedder

    return [HashEmbedder()]


@hookimpl
def register_vector_stores() -> list[VectorStore]:
    from codex32.builtin.fakes.memory_vector_store import MemoryVectorStore

    return [MemoryVectorStore()]
