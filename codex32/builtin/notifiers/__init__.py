"""Notifiers that need no SDK."""

from codex32 import Notifier
from codex32.builtin.notifiers.log import LogNotifier
from codex32.builtin.notifiers.webhook import WebhookNotifier


def all_notifiers() -> list[Notifier]:
    """One of each."""
    return [LogNotifier(), WebhookNotifier()]
