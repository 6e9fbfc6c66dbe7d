"""The notifier ``teams``."""

from __future__ import annotations

from collections.abc import Iterable

from codex32 import Notifier, hookimpl


@hookimpl
def register_notifiers() -> Iterable[Notifier]:
    """Offer ``to: teams``."""
    from codex32_teams.notifier import Teams

    yield Teams()
