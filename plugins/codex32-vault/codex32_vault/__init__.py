"""The secret store ``vault``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Problem, SecretStore, hookimpl


@hookimpl
def register_secret_stores(config: Mapping[str, Any]) -> Iterable[SecretStore]:
    """Offer the store ``vault`` where the settings name an address."""
    if "address" in config:
        from codex32_vault.place import Place
        from codex32_vault.store import VaultStore

        yield VaultStore(Place.of(config))


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Name what stands in the way of asking, before anything is asked."""
    from codex32_vault.place import problems

    yield from problems(config)
