"""The notifier ``apprise``, for the targets that the operator has named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Notifier, Problem, did_you_mean, hookimpl


@hookimpl
def register_notifiers(config: Mapping[str, Any]) -> Iterable[Notifier]:
    """Offer ``to: apprise`` where the settings name targets."""
    if targets := config.get("targets"):
        from codex32_apprise.notifier import Apprise

        yield Apprise(targets)


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Each target has a name, and one URL."""
    for key in sorted(config.keys() - {"targets"}):
        yield Problem(f"{key!r} is no setting{did_you_mean(key, ['targets'])}", key)
    targets = config.get("targets", {})
    if not isinstance(targets, Mapping):
        yield Problem("must map names to URLs of Apprise: {ops: 'slack://…'}", "targets")
        return
    for name, url in targets.items():
        if not (isinstance(url, str) and "://" in url):
            yield Problem("must be one URL of Apprise, such as slack://…", f"targets.{name}")
