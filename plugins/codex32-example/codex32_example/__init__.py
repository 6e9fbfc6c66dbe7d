"""A plugin: hooks here, one file a component, heavy imports inside the functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import BotType, Notifier, Problem, hookimpl


@hookimpl
def register_bot_types() -> Iterable[BotType]:
    """Offer ``type: feed``."""
    from codex32_example.feed import Feed

    yield Feed()


@hookimpl
def register_notifiers(config: Mapping[str, Any]) -> Iterable[Notifier]:
    """Offer ``to: ntfy``; ``plugins.example.server`` names another server than ntfy.sh."""
    from codex32_example.ntfy import Ntfy

    yield Ntfy(config.get("server", "https://ntfy.sh"))


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse a server that is no address before anything is sent to it."""
    server = config.get("server", "https://ntfy.sh")
    if not str(server).startswith(("http://", "https://")):
        yield Problem(f"{server!r} is no address; write for example https://ntfy.sh", "server")
