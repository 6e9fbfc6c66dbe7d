"""The hooks of the house's own plugin; what they offer is imported where a process asks for it."""
# ruff: noqa: D103 - the specifications say what each hook is for.

from collections.abc import Mapping
from typing import Any

from codex32 import BotType, Notifier, SecretStore, TriggerType, hookimpl


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
