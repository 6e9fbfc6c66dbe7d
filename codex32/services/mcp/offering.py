"""Bots that clients of MCP may use: those that say so themselves, with a trigger ``mcp``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from string import ascii_letters, digits

import peewee as pw

from codex32.engine.running.planned_tools import schema_of
from codex32.kernel.bot import Trigger
from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, fetch
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.kernel.models import BotRow, TriggerRow, VersionRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.schedules import restored
from codex32.services.triggers.answering import Answerer, Happening, Question
from codex32.services.triggers.occurrences import Answer, Due, carry_out

KIND = "mcp"
#: Arguments that are no input of the bot, of which the caller is told.
_MOST_STRANGE = 10
#: What stands in a text of CEL for itself.
_PLAIN = frozenset(f"{ascii_letters}{digits}_-")


@dataclass(frozen=True, slots=True)
class Offered:
    """A bot as a tool: its trigger, and what clients are told of it."""

    due: Due
    trigger: Trigger
    description: str
    schema: Mapping[str, JSON]


class Offering:
    """What a workspace offers, and starting it."""

    def __init__(self, door: Door, definitions: Definitions, payloads: PayloadStore) -> None:
        self._door, self._definitions, self._payloads = door, definitions, payloads
        self._answerer = Answerer(definitions, payloads)

    async def page(self, workspace: str, after: str, limit: int) -> list[Offered]:
        """The bots whose names come after ``after``, at most ``limit``, by name."""
        return await self._door.read(self._page, workspace, BotRow.name > after, limit)

    async def find(self, workspace: str, name: str) -> Offered | None:
        """The bot of this name, if it is offered."""
        found = await self._door.read(self._page, workspace, BotRow.name == name, 1)
        return found[0] if found else None

    async def start(
        self, offered: Offered, arguments: Mapping[str, JSON], caller: Caller, now: int
    ) -> Answer:
        """What the bot's trigger makes of a call: an execution, or why there is none.

        The arguments are its inputs; the trigger's own ``inputs`` come before them.
        """
        known = offered.schema["properties"]
        assert isinstance(known, Mapping)
        # One name that is no input is refused as well as a thousand, each of them an expression.
        strange = [name for name in arguments if name not in known][:_MOST_STRANGE]
        wanted = offered.schema["required"]
        assert isinstance(wanted, list)
        # What clients are told they must give is read without being there, too, and is missed.
        told = [name for name in known if name in arguments or name in wanted] + strange
        named = {name: f"${{{{ trigger.body[{_quoted(name)}] }}}}" for name in told}
        trigger = replace(offered.trigger, inputs={**named, **offered.trigger.inputs})
        about = {"body": dict(arguments), "caller": caller.name, "by": caller.told()}
        question = Question(offered.due, trigger, Happening(new_id("mcp"), now, about))

        def write() -> Answer:
            answer = self._answerer.answer([question], now)[0]
            carry_out([answer], self._payloads, now)
            return answer

        return await self._door.write(write)

    def _page(self, workspace: str, condition: object, limit: int) -> list[Offered]:
        # A bot with several such triggers is one tool all the same: its first one says how.
        other = TriggerRow.alias()
        ours = (other.kind == KIND) & other.enabled
        first = other.select(pw.fn.MIN(other.id)).where(ours).group_by(other.bot_id)
        query = (
            TriggerRow.select(
                TriggerRow.id,
                TriggerRow.bot_id,
                TriggerRow.definition,
                BotRow.name,
                BotRow.workspace,
                BotRow.paused,
                VersionRow.id,
                VersionRow.number,
            )
            .join(BotRow, on=(BotRow.id == TriggerRow.bot_id))
            .join(VersionRow, on=(VersionRow.id == BotRow.active_version_id))
            .where(
                TriggerRow.id.in_(first)
                & BotRow.enabled
                & ~BotRow.paused
                & BotRow.removed_at.is_null()
                & (BotRow.workspace == workspace)
                & condition
            )
            .order_by(BotRow.name)
            .limit(limit)
        )
        return [
            self._offered(Due(id_, bot_id, definition, 0, *rest))
            for id_, bot_id, definition, *rest in fetch(query)
        ]

    def _offered(self, due: Due) -> Offered:
        trigger = restored(due.definition)
        assert due.version_id is not None
        bot = self._definitions.bot(due.version_id)
        config = trigger.config if isinstance(trigger.config, Mapping) else {}
        described = config.get("description") or bot.description
        # What the trigger says itself is nobody's to give.
        asked = {name: each for name, each in bot.inputs.items() if name not in trigger.inputs}
        return Offered(due, trigger, described, schema_of(asked))


def _quoted(name: str) -> str:
    """A text of CEL."""
    plain = (each if each in _PLAIN else f"\\U{ord(each):08x}" for each in name)
    return f"'{''.join(plain)}'"
