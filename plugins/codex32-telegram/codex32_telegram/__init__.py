"""The notifier ``telegram``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Notifier, Problem, did_you_mean, hookimpl

_API = "https://api.telegram.org"


@hookimpl
def register_notifiers(config: Mapping[str, Any]) -> Iterable[Notifier]:
    """Offer ``to: telegram``; ``plugins.telegram.api`` names a Bot API server of one's own."""
    from codex32_telegram.notifier import Telegram

    yield Telegram(str(config.get("api", _API)))


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse an API that is no address, and settings that are none."""
    for key in sorted(config.keys() - {"api"}):
        yield Problem(f"{key!r} is no setting{did_you_mean(key, ['api'])}", key)
    if not str(config.get("api", _API)).startswith(("http://", "https://")):
        yield Problem(f"{config['api']!r} is no address; write for example {_API}", "api")
