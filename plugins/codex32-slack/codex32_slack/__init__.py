"""The notifier ``slack``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Notifier, Problem, did_you_mean, hookimpl

_API = "https://slack.com/api"


@hookimpl
def register_notifiers(config: Mapping[str, Any]) -> Iterable[Notifier]:
    """Offer ``to: slack``; ``plugins.slack.api`` names another place of the Web API."""
    from codex32_slack.notifier import Slack

    yield Slack(str(config.get("api", _API)))


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse an API that is no address, and settings that are none."""
    for key in sorted(config.keys() - {"api"}):
        yield Problem(f"{key!r} is no setting{did_you_mean(key, ['api'])}", key)
    if not str(config.get("api", _API)).startswith(("http://", "https://")):
        yield Problem(f"{config['api']!r} is no address; write for example {_API}", "api")
