"""The notifier ``email``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Notifier, Problem, hookimpl


@hookimpl
def register_notifiers(config: Mapping[str, Any]) -> Iterable[Notifier]:
    """Offer ``to: email`` where the settings name a mail server."""
    if "host" in config:
        from codex32_email.notifier import Email
        from codex32_email.server import MailServer

        yield Email(MailServer.of(config))


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Name everything that stands in the way of sending, before something is sent."""
    from codex32_email.server import problems

    yield from problems(config)
