"""A bridge to what Apprise speaks to.

Apprise makes connections of its own, to any address and by many ways, the machine's own among
them; the house's guard does not stand before it. So bots name one of the operator's targets, and
never a URL.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from codex32 import (
    EffectUnknown,
    HttpClient,
    HttpResponse,
    Notification,
    Notifier,
    ProviderRejected,
    Receipt,
    StepFault,
    did_you_mean,
    refusal,
)

if TYPE_CHECKING:
    from apprise.logger import NotifyLogEntry

_NAME = re.compile(r"[\w.-]{1,40}")
_STATUS = re.compile(r"error=(\d{3})\b")


class Apprise(Notifier):
    """Sends to a target by the name that the settings give it."""

    name = "apprise"

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = dict(targets)

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Send once, on a thread; Apprise tells no id."""
        url = self._targets.get(target)
        if url is None:
            # What was written instead may be a URL with a password in it.
            near = did_you_mean(target, self._targets) if _NAME.fullmatch(target) else ""
            raise ProviderRejected(
                "the target is none of plugins.apprise.targets" + near + "; the operator names "
                f"them, and bots choose one by its name: {', '.join(sorted(self._targets))}"
            )
        try:
            async with asyncio.timeout(timeout_seconds):
                fault = await asyncio.to_thread(_notify, url, notification, timeout_seconds)
        except TimeoutError:
            raise EffectUnknown("Apprise did not end in time; it may have sent") from None
        if fault is not None:
            raise fault
        return Receipt()


def _notify(url: str, notification: Notification, timeout_seconds: float) -> StepFault | None:
    from apprise import Apprise as Sender
    from apprise import NotifyFormat

    logs: list[str] = []

    def keep(entry: NotifyLogEntry, _service: object) -> None:
        logs.append(entry.message)

    sender = Sender()
    if not sender.add(url):
        return ProviderRejected("Apprise cannot read the URL of this target; the operator can")
    result = sender.notify(
        notification.text or " ",
        title=notification.title,
        body_format=NotifyFormat.TEXT,
        timeout=timeout_seconds,
        log_callback=keep,
    )
    return None if result else _fault(" ".join(logs))


def _fault(logs: str) -> StepFault:
    """What Apprise means by False: its log alone tells, and sometimes does not."""
    statuses = [int(each) for each in _STATUS.findall(logs)]
    if statuses:
        told = refusal(HttpResponse(statuses[-1], {}, b"", ""), "the service behind Apprise")
        if told is not None:
            return told
    return EffectUnknown("Apprise says that it failed and not how far it came; see its log")
