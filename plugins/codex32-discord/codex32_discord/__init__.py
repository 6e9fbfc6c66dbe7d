"""The notifier ``discord``."""

from __future__ import annotations

from collections.abc import Iterable

from codex32 import Notifier, hookimpl


@hookimpl
def register_notifiers() -> Iterable[Notifier]:
    """Offer ``to: discord``."""
    from codex32_discord.notifier import Discord

    yield Discord()
