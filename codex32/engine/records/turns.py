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

from collections.abc import MutableMapping, Sequence
from typing import Any, TypeAlias

from codex32.kernel.database import is_sqlite
from codex32.kernel.json_values import dumps
from codex32.kernel.models import database_proxy

#: What is known of a bot and a priority: what :func:`asking` asks for.
Asked: TypeAlias = MutableMapping[tuple[str, int], tuple[int | None, int | None]]

_QUEUED = "FROM execution e WHERE e.status = 'queued' AND e.ready_at IS NOT NULL"


def asking(bot: str, priority: str) -> str:
    """Two columns of a query: the last turn that a bot has, and the turn that is served.

    Each is looked up in an index, however long the queue is.

    Args:
      bot: SQL for the bot's id.
      priority: SQL for the priority.
    """
    return f"{_last(bot)}, {_served(priority)}"


def _last(bot: str) -> str:
    return f"(SELECT MAX(e.turn) {_QUEUED} AND e.bot_id = {bot})"


def _served(priority: str) -> str:
    return f"(SELECT e.turn {_QUEUED} AND e.priority = {priority} ORDER BY e.turn LIMIT 1)"


#: Who is served is asked once for a priority, not for each bot: after thousands that began just
#: now, PostgreSQL passes what is left of each of them in the index before it finds the next.
_ASK = f"""
WITH served AS MATERIALIZED (
    SELECT p.priority, {_served("p.priority")} AS turn FROM {{priorities}}
)
SELECT asked.bot, asked.priority, {_last("asked.bot")}, served.turn
FROM {{asked}} JOIN served ON served.priority = asked.priority
"""  # noqa: S608 - our own
_SQLITE = _ASK.format(
    priorities="(SELECT value AS priority FROM json_each(?)) AS p",
    asked="(SELECT value ->> 0 AS bot, value ->> 1 AS priority FROM json_each(?)) AS asked",
)
_POSTGRESQL = _ASK.format(
    priorities="unnest(%s::int[]) AS p(priority)",
    asked="unnest(%s::text[], %s::int[]) AS asked(bot, priority)",
)


def take_turns(
    joining: Sequence[tuple[str, int]], now: int, asked: Asked | None = None
) -> list[int]:
    """The turns of executions that join the queue, in their order.

    Args:
      joining: The bot's id and the priority of each.
      now: The present, in microseconds.
      asked: What was asked already, so that it need not be asked again; what is known afterwards
        stands there.
    """
    known = {} if asked is None else asked
    known.update(_ask([key for key in joining if key not in known]))
    turns = []
    for key in joining:
        last, served = known[key]
        before = _before(served, now)
        turns.append(max(last or 0, before) + 1)
        # Of an empty queue the time is kept, too: else it would run away from those who wait.
        known[key] = turns[-1], before + 1
    return turns


def turns_back(returning: Sequence[tuple[str, int, int]], now: int) -> list[int]:
    """The turns of executions that come back to the queue, in their order.

    Each has the turn that it had, so that what has begun goes on before its bot begins more; but
    none that was passed while it was away: else time went back, and whoever joins now would come
    before all who wait already.

    Args:
      returning: The bot's id, the priority and the former turn of each.
      now: The present, in microseconds.
    """
    asked = _ask([(bot, priority) for bot, priority, _ in returning])
    latest = {key: _before(served, now) for key, (_, served) in asked.items()}
    turns = []
    for bot, priority, former in returning:
        latest[bot, priority] = max(latest[bot, priority] + 1, former)
        turns.append(latest[bot, priority])
    return turns


def _before(served: int | None, now: int) -> int:
    """The last turn that nobody shall have any more."""
    return now if served is None else served - 1


def _ask(keys: Sequence[tuple[str, int]]) -> Asked:
    asked = sorted(set(keys))
    if not asked:
        return {}
    priorities = sorted({priority for _, priority in asked})
    parameters: tuple[Any, ...] = (dumps(priorities), dumps(asked))
    if not is_sqlite():
        bots, each = [bot for bot, _ in asked], [priority for _, priority in asked]
        parameters = (priorities, bots, each)
    rows = database_proxy.execute_sql(_SQLITE if is_sqlite() else _POSTGRESQL, parameters)
    return {(bot, priority): (own, served) for bot, priority, own, served in rows.fetchall()}
