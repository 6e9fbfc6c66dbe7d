"""Webhooks as people look at them: who serves which address, and what came last."""

from __future__ import annotations

from dataclasses import dataclass

from codex32.kernel.json_values import JSON
from codex32.kernel.models import OccurrenceRow
from codex32.services.bots import webhook_paths
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.bots.webhook_paths import Hook
from codex32.services.presentation import iso


@dataclass(frozen=True, slots=True)
class HookView:
    """A webhook with what stands around it.

    Attributes:
      owner: The bot that serves its address in its place; empty where it does so itself.
      last: The newest delivery.
    """

    hook: Hook
    owner: str
    last: OccurrenceRow | None

    @property
    def standing(self) -> str:
        """``served``, ``paused``, or that another bot has its address."""
        if self.owner:
            return f"taken by {self.owner}"
        return "paused" if self.hook.due.paused else "served"


def listing(types: TriggerTypes, *, workspace: str, bot: str | None = None) -> list[HookView]:
    """The live webhooks of a workspace, or those of one bot, by address."""
    hooks = webhook_paths.listing(types, workspace=workspace)
    first: dict[tuple[str, str], Hook] = {}
    views = []
    for hook in hooks:
        wanted = [(hook.webhook.path, method) for method in sorted(hook.webhook.methods)]
        owners = [first.setdefault(each, hook) for each in wanted]
        owner = next((each.due.bot_name for each in owners if each is not hook), "")
        if bot in (None, hook.due.bot_name):
            views.append(HookView(hook, owner, _last_delivery(hook)))
    return views


def as_dict(view: HookView, url: str) -> dict[str, JSON]:
    """A webhook as plain data for JSON; ``url`` is that of the server."""
    webhook, last = view.hook.webhook, view.last
    return {
        "url": f"{url}{view.hook.address}",
        "methods": sorted(webhook.methods),
        "bot": view.hook.due.bot_name,
        "scheme": webhook.scheme.name,
        "secrets": list(webhook.secrets),
        "reply": webhook.reply,
        "max_bytes": webhook.max_bytes,
        "status": view.standing,
        "last_delivery": last
        and {
            "at": iso(last.evaluated_at),
            "decision": last.decision,
            "detail": last.detail,
            "execution": last.execution_id,
        },
    }


def _last_delivery(hook: Hook) -> OccurrenceRow | None:
    # The index of the bot's answers is walked from its end.
    mine = (OccurrenceRow.bot_id == hook.due.bot_id) & (OccurrenceRow.trigger_id == hook.due.id)
    newest = (OccurrenceRow.evaluated_at.desc(), OccurrenceRow.id.desc())
    found: OccurrenceRow | None = OccurrenceRow.select().where(mine).order_by(*newest).first()
    return found
