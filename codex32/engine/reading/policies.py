"""What an installation may forbid its bots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codex32.kernel.bot import Bot
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.problems import Problem


def unsigned_webhooks(bot: Bot, types: Mapping[str, TriggerType]) -> Sequence[Problem]:
    """The webhooks of ``bot`` whose senders have to prove nothing."""
    found = []
    for place, trigger in enumerate(bot.triggers):
        kind = types.get(trigger.kind)
        webhook = kind.webhook(trigger.config) if kind else None
        if webhook is not None and not webhook.scheme.secret:
            message = (
                f"the scheme {webhook.scheme.name} lets everybody in, which the setting "
                "bots.unsigned_webhooks forbids; choose another scheme"
            )
            path = f"triggers.{place}.{trigger.kind}.auth.scheme"
            found.append(Problem(message, path=path, code="not-allowed"))
    return found
