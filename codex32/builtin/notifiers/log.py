"""Into the log."""

from __future__ import annotations

import logging

from codex32 import HttpClient, Notification, Notifier, Receipt

_log = logging.getLogger("codex32.notify")


class LogNotifier(Notifier):
    """Writes notifications to the process's log; the target is ignored."""

    name: str = "log"
    idempotent: bool = True

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Write one line."""
        title = f"{notification.title}: " if notification.title else ""
        _log.info("%s%s", title, notification.text)
        return Receipt()
