"""The trigger ``mail``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Problem, TriggerType, did_you_mean, hookimpl


@hookimpl
def register_trigger_types(config: Mapping[str, Any]) -> Iterable[TriggerType]:
    """Offer the trigger ``mail:``; ``plugins.mail.ca_file`` names authorities to trust."""
    from codex32_mail.trigger import MailTrigger

    yield MailTrigger(config.get("ca_file"))


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse authorities that cannot be read, and settings that are none."""
    from pathlib import Path

    for key in sorted(config.keys() - {"ca_file"}):
        yield Problem(f"{key!r} is no setting{did_you_mean(key, ['ca_file'])}", key)
    if "ca_file" in config and not Path(str(config["ca_file"])).is_file():
        yield Problem("there is no such file", "ca_file")
