"""Which trigger serves which address: whoever wanted it first, for as long as it is there.

Every live trigger that serves requests has a row with its address. Of several with the same one
the oldest serves it; the others have a fault that is told with their bots, and the next of them
takes over when the first is gone. Nothing has to be remembered for that, and nobody asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from codex32.kernel.batches import Insert, one_of
from codex32.kernel.bot import Bot, Trigger
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.contracts.webhook import Webhook
from codex32.kernel.database import fetch, is_sqlite
from codex32.kernel.models import BotRow, TriggerRow, WebhookPathRow, database_proxy
from codex32.kernel.problems import Problem
from codex32.services.bots.schedules import TriggerTypes, restored
from codex32.services.triggers.occurrences import Due

_NEW = Insert(
    WebhookPathRow,
    ("trigger_id", "bot_id", "workspace", "path", "methods", "since"),
    replace=True,
)


# Asked with every delivery, and building it anew would cost ten times as much as the answer.
_HOOKS = """
SELECT w.methods, t.id, t.bot_id, t.definition, 0, b.name, b.workspace, b.paused, v.id, v.number
FROM webhook_path w
JOIN trigger t ON t.id = w.trigger_id
JOIN bot b ON b.id = t.bot_id
LEFT JOIN bot_version v ON v.id = b.active_version_id
WHERE w.workspace = {mark}
"""
_ALL = f"{_HOOKS} ORDER BY w.path, w.since, w.trigger_id"
_WANTED = f"{_HOOKS} AND w.path = {{mark}} ORDER BY w.since, w.trigger_id"


@dataclass(frozen=True, slots=True)
class Hook:
    """A live trigger that serves requests, with its bot."""

    due: Due
    trigger: Trigger
    webhook: Webhook

    @property
    def address(self) -> str:
        """Below the server's URL."""
        return f"/hooks/{self.due.workspace}/{self.webhook.path}"


@lru_cache(maxsize=4096)
def webhook_of(kind: TriggerType, definition: str) -> Webhook | None:
    """What a trigger serves; remembered, for it is asked with every delivery."""
    return kind.webhook(restored(definition).config)


def serves(bot: Bot, types: TriggerTypes) -> bool:
    """Whether a bot has triggers that serve requests."""
    kinds = [types.get(trigger.kind) for trigger in bot.triggers]
    return any(kind and type(kind).webhook is not TriggerType.webhook for kind in kinds)


def reconcile(bot_id: str, workspace: str, types: TriggerTypes, now: int) -> None:
    """Bring a bot's addresses to what its trigger rows say; called in the same write.

    A trigger that had its address before keeps its place among those that want it.
    """
    had = {
        row.trigger_id: row
        for row in WebhookPathRow.select().where(WebhookPathRow.bot_id == bot_id)
    }
    rows = []
    live = (TriggerRow.bot_id == bot_id) & TriggerRow.enabled
    columns = (TriggerRow.id, TriggerRow.kind, TriggerRow.definition)
    for trigger_id, kind_name, definition in fetch(TriggerRow.select(*columns).where(live)):
        kind = types.get(kind_name)
        webhook = None if kind is None else webhook_of(kind, definition)
        if webhook is None:
            continue
        before = had.pop(trigger_id, None)
        methods = " ".join(sorted(webhook.methods))
        if before is None or (before.path, before.methods) != (webhook.path, methods):
            since = now
            rows.append((trigger_id, bot_id, workspace, webhook.path, methods, since))
    _NEW.write(rows)
    if had:
        WebhookPathRow.delete().where(WebhookPathRow.trigger_id.in_(list(had))).execute()


def forget(bot_id: str) -> None:
    """Serve nothing for a bot any more; called in a write."""
    WebhookPathRow.delete().where(WebhookPathRow.bot_id == bot_id).execute()


def find(types: TriggerTypes, workspace: str, method: str, path: str) -> Hook | None:
    """Who answers a request; None where nobody does."""
    text = _WANTED.format(mark="?" if is_sqlite() else "%s")
    for methods, *row in database_proxy.execute_sql(text, (workspace, path)).fetchall():
        if method in methods.split():
            return _hook(types, Due(*row))
    return None


def listing(types: TriggerTypes, *, workspace: str) -> list[Hook]:
    """The live triggers that serve requests, or would, by address; who serves it comes first."""
    text = _ALL.format(mark="?" if is_sqlite() else "%s")
    rows = database_proxy.execute_sql(text, (workspace,)).fetchall()
    found = [_hook(types, Due(*row)) for _, *row in rows]
    return [hook for hook in found if hook is not None]


def _hook(types: TriggerTypes, due: Due) -> Hook | None:
    trigger = restored(due.definition)
    kind = types.get(trigger.kind)  # whose plugin may be gone since
    webhook = None if kind is None else webhook_of(kind, due.definition)
    return None if webhook is None else Hook(due, trigger, webhook)


def taken(bot_id: str, workspace: str, bot: Bot, types: TriggerTypes) -> list[Problem]:
    """The addresses that a bot would want and others have, as faults of this bot."""
    found = []
    for place, trigger in enumerate(bot.triggers):
        kind = types.get(trigger.kind)
        webhook = kind.webhook(trigger.config) if kind and trigger.enabled else None
        if webhook is None:
            continue
        for method in sorted(webhook.methods):
            other = find(types, workspace, method, webhook.path)
            if other is not None and other.due.bot_id != bot_id:
                fault = _fault(workspace, webhook.path, [method], other.due.bot_name)
                found.append(fault.under(f"triggers.{place}.{trigger.kind}"))
    return found


def clashes(bot_ids: Sequence[str]) -> dict[str, list[Problem]]:
    """The addresses that bots want and others serve, as faults of these bots, by their ids."""
    first, owner = WebhookPathRow.alias(), BotRow.alias()
    before = (first.since < WebhookPathRow.since) | (
        (first.since == WebhookPathRow.since) & (first.trigger_id < WebhookPathRow.trigger_id)
    )
    query = (
        WebhookPathRow.select(
            WebhookPathRow.bot_id, WebhookPathRow.workspace, WebhookPathRow.path,
            WebhookPathRow.methods, first.methods, owner.name,
        )
        .join(
            first,
            on=(first.workspace == WebhookPathRow.workspace)
            & (first.path == WebhookPathRow.path)
            & before,
        )
        .join(owner, on=(owner.id == first.bot_id))
        .where(one_of(WebhookPathRow.bot_id, bot_ids))
        .order_by(WebhookPathRow.path, first.since, first.trigger_id)
    )  # fmt: skip
    found: dict[str, list[Problem]] = {}
    for bot_id, workspace, path, methods, theirs, name in fetch(query):
        both = sorted({*methods.split()} & {*theirs.split()})
        if both:
            fault = _fault(workspace, path, both, name)
            found.setdefault(bot_id, []).append(fault.under("triggers"))
    return found


def _fault(workspace: str, path: str, methods: Sequence[str], owner: str) -> Problem:
    which = " and ".join(methods)
    message = f"{which} /hooks/{workspace}/{path} belongs to the bot {owner}; choose another path"
    return Problem(message, code="webhook-taken")
