"""Kinds of triggers that need no SDK."""

from codex32 import TriggerType
from codex32.builtin.triggers.at import AtTrigger
from codex32.builtin.triggers.cron import CronTrigger
from codex32.builtin.triggers.event import EventTrigger
from codex32.builtin.triggers.every import EveryTrigger
from codex32.builtin.triggers.file import FileTrigger
from codex32.builtin.triggers.mcp import McpTrigger
from codex32.builtin.triggers.webhook import WebhookTrigger


def all_trigger_types() -> list[TriggerType]:
    """One of each."""
    return [
        CronTrigger(),
        EveryTrigger(),
        AtTrigger(),
        EventTrigger(),
        FileTrigger(),
        McpTrigger(),
        WebhookTrigger(),
    ]
