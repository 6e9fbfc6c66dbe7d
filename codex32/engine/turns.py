"""Fair turns between bots: thousands of executions of one bot do not stand before another's.

Each execution that joins the queue is given a *turn*, and of those with the same priority the
lowest turn is next. A bot's executions take turns one after the other; a bot that comes to a queue
where others wait takes the turn that is next now. So a bot gets its share from its
first execution on, however many of another's came before it. This is start-time fair queueing
(Goyal, Vin and Cheng, SIGCOMM 1996) with work of one size: the time of that paper, the turn that
is being served, is the lowest turn in the queue, and while nothing is queued the clock itself, so
that it never goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codex32.kernel.database import is_sqlite
from codex32.kernel.json_values import dumps
from codex32.kernel.models import database_proxy

_QUEUED = "FROM execution e WHERE e.status = 'queued' AND e.ready_at IS NOT NULL"
# The subqueries are looked up in an index each, however long the queue is.
_ASK = f"""
SELECT asked.bot, asked.priority,
    (SELECT MAX(e.turn) {_QUEUED} AND e.bot_id = asked.bot),
    (SELECT e.turn {_QUEUED} AND e.priority = asked.priority ORDER BY e.turn LIMIT 1)
FROM %s
"""  # noqa: S608 - our own names
_SQLITE = _ASK % (
    "(SELECT value ->> 0 AS bot, value ->> 1 AS priority FROM json_each(?)) AS asked"
)
_POSTGRESQL = _ASK % "unnest(%s::text[], %s::int[]) AS asked(bot, priority)"


def take_turns(joining: Sequence[tuple[str, int]], now: int) -> list[int]:
    """The turns of executions that join the queue, in their order.

    Args:
      joining: The bot's id and the priority of each.
      now: The present, in microseconds.
    """
    asked = sorted(set(joining))
    parameters: tuple[Any, ...] = (dumps(asked),)
    if not is_sqlite():
        parameters = ([bot for bot, _ in asked], [priority for _, priority in asked])
    rows = database_proxy.execute_sql(_SQLITE if is_sqlite() else _POSTGRESQL, parameters)
    latest = {}
    for bot, priority, own, served in rows.fetchall():
        latest[bot, priority] = max(own or 0, now if served is None else served - 1)
    turns = []
    for key in joining:
        latest[key] += 1
        turns.append(latest[key])
    return turns
