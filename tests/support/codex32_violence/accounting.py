"""The books: what must hold of a database and a world after whatever happened.

Triggers in the database note each time an execution comes to a final status, and each change of
one that had: nothing can slip between two looks of a sampling observer.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg2

from codex32_violence.world import Effect

_FINALS = "('succeeded', 'failed', 'cancelled', 'skipped')"
_SQLITE = f"""
CREATE TABLE ending (execution_id TEXT, was TEXT, became TEXT);
CREATE TRIGGER audit_ended AFTER UPDATE ON execution
WHEN OLD.status NOT IN {_FINALS} AND NEW.status IN {_FINALS}
BEGIN INSERT INTO ending VALUES (NEW.id, OLD.status, NEW.status); END;
CREATE TRIGGER audit_changed AFTER UPDATE ON execution
WHEN OLD.status IN {_FINALS} AND (NEW.status IS NOT OLD.status OR NEW.output IS NOT OLD.output
  OR NEW.finished_at IS NOT OLD.finished_at OR NEW.cause IS NOT OLD.cause)
BEGIN INSERT INTO ending VALUES (NEW.id, OLD.status, NEW.status); END;
CREATE TRIGGER audit_born AFTER INSERT ON execution WHEN NEW.status IN {_FINALS}
BEGIN INSERT INTO ending VALUES (NEW.id, '', NEW.status); END;
"""
_POSTGRESQL = f"""
CREATE TABLE ending (execution_id TEXT, was TEXT, became TEXT);
CREATE FUNCTION note_ending() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO ending VALUES (NEW.id, CASE TG_OP WHEN 'INSERT' THEN '' ELSE OLD.status END,
                            NEW.status);
  RETURN NULL;
END $$;
CREATE TRIGGER audit_ended AFTER UPDATE ON execution FOR EACH ROW
WHEN (OLD.status NOT IN {_FINALS} AND NEW.status IN {_FINALS}) EXECUTE FUNCTION note_ending();
CREATE TRIGGER audit_changed AFTER UPDATE ON execution FOR EACH ROW
WHEN (OLD.status IN {_FINALS} AND (NEW.status, NEW.output, NEW.finished_at, NEW.cause)
  IS DISTINCT FROM (OLD.status, OLD.output, OLD.finished_at, OLD.cause))
EXECUTE FUNCTION note_ending();
CREATE TRIGGER audit_born AFTER INSERT ON execution FOR EACH ROW
WHEN (NEW.status IN {_FINALS}) EXECUTE FUNCTION note_ending();
"""


class Rows:
    """Asks the database of a house, past the house."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")

    def _connect(self) -> Any:
        if self.sqlite:
            return sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=30)
        return psycopg2.connect(self.url)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement, or none where it has none."""
        connection = self._connect()
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return list(rows)
        finally:
            connection.close()

    def note_endings(self) -> None:
        """Have the database note every ending from now on."""
        if not self.sqlite:
            self.ask(_POSTGRESQL)
            return
        connection = self._connect()
        connection.executescript(_SQLITE)
        connection.close()

    def live(self) -> int:
        """Executions that have not ended."""
        return int(self.ask("SELECT count(*) FROM execution WHERE finished_at IS NULL")[0][0])


@dataclass
class Books:
    """What was counted, and what is wrong.

    Attributes:
      counts: For people.
      faults: Empty where every promise was kept.
    """

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail with all faults, if there are any."""
        shown = "\n".join(self.faults[:40])
        assert not self.faults, f"{len(self.faults)} faults, {self.counts}:\n{shown}"

    def wrong(self, text: str) -> None:
        """Note a fault."""
        self.faults.append(text)


def endings(
    books: Books, acknowledged: Collection[str], statuses: Mapping[str, str], audit: Sequence[Any]
) -> None:
    """Every submission that was acknowledged ended, and everything ended once."""
    ends = Counter(row[0] for row in audit if row[1] not in _FINALS or row[1] == "")
    for execution_id, was, became in audit:
        if was and was in _FINALS:
            books.wrong(f"{execution_id} was {was}, which is final, and became {became}")
    for execution_id in acknowledged:
        if execution_id not in statuses:
            books.wrong(f"{execution_id} was acknowledged and is lost")
    for execution_id, status in statuses.items():
        if status not in _FINALS:
            books.wrong(f"{execution_id} stands at {status} for ever")
        elif ends[execution_id] != 1:
            books.wrong(f"{execution_id} ended {ends[execution_id]} times, last as {status}")
    if len(set(acknowledged)) != len(acknowledged):
        books.wrong("two submissions were told the same execution")
    books.counts["acknowledged"] = len(acknowledged)
    books.counts["executions"] = len(statuses)


def effects(
    books: Books,
    reached: Mapping[str, Effect],
    kind_of: Callable[[str], str | None],
    recorded: Mapping[str, str],
) -> None:
    """The world's count of each effect against the record of its step.

    Args:
      kind_of: ``once`` or ``keyed``, by the effect's key; None where nothing had this effect.
      recorded: Status of the step of each effect.
    """
    for key, effect in reached.items():
        kind = kind_of(key)
        if kind is None or key not in recorded:
            books.wrong(f"{key} reached the world and is recorded nowhere")
        elif kind == "once" and effect.count != 1:
            books.wrong(f"{key} was sent {effect.count} times")
        elif kind == "keyed" and len(effect.keys) != 1:
            books.wrong(f"{key} was sent with {len(effect.keys)} idempotency keys")
    for key, status in recorded.items():
        if status == "succeeded" and key not in reached:
            books.wrong(f"{key} counts as succeeded and never reached the world")
    books.counts["effects"] = len(reached)
    books.counts["sent again"] = sum(effect.count - 1 for effect in reached.values())


def account(
    rows: Rows,
    acknowledged: Collection[str],
    reached: Mapping[str, Effect],
    kinds: Mapping[str, Mapping[str, str]],
) -> Books:
    """Count everything.

    Args:
      acknowledged: Ids that the API told.
      reached: What the world counted.
      kinds: ``once`` or ``keyed`` for each step with an effect, by bot (see ``bots.EFFECTS``).
    """
    books = Books()
    found = rows.ask(
        "SELECT id, bot_name, status, cause, message, attempt, parent_id FROM execution"
    )
    endings(books, acknowledged, {r[0]: r[2] for r in found}, rows.ask("SELECT * FROM ending"))
    steps = rows.ask("SELECT execution_id, step, item, status, effect FROM step")
    _statuses(books, found, steps, kinds)
    _attempts(books, rows, {r[0]: r[5] for r in found})
    _children(books, rows, found)
    _counter(books, rows, found)
    _occurrences(books, rows)
    bot_of = {r[0]: r[1] for r in found}

    def kind_of(key: str) -> str | None:
        execution_id, step = key.split("/")[:2]
        return kinds.get(bot_of.get(execution_id, ""), {}).get(step)

    recorded = {}
    for execution_id, step, item, status, _ in steps:
        key = f"{execution_id}/{step}" + ("" if item < 0 else f"/{item}")
        whole = item < 0 and bot_of.get(execution_id, "").startswith("each")
        if kind_of(key) and not whole:
            recorded[key] = status
    effects(books, reached, kind_of, recorded)
    return books


def _statuses(
    books: Books,
    found: Sequence[Any],
    steps: Sequence[Any],
    kinds: Mapping[str, Mapping[str, str]],
) -> None:
    ended = {r[0]: (r[1], r[2]) for r in found}
    done: dict[str, set[str]] = {}
    for execution_id, step, item, status, _ in steps:
        if execution_id not in ended:
            books.wrong(f"step {step} is of {execution_id}, which is not there")
            continue
        if ended[execution_id][1] == "succeeded" and status not in ("succeeded", "skipped"):
            books.wrong(f"{execution_id} succeeded, its step {step}[{item}] stands at {status}")
        if status == "succeeded" and item < 0:
            done.setdefault(execution_id, set()).add(step)
    for execution_id, bot, status, cause, message, *_ in found:
        wanted = "failed" if bot == "closing" else "succeeded"
        if status != wanted:
            books.wrong(f"{execution_id} of {bot} {status} ({cause}): {message}")
        missing = set(kinds.get(bot, {})) - done.get(execution_id, set())
        if status == wanted and missing:
            books.wrong(f"{execution_id} of {bot} {status} without {', '.join(sorted(missing))}")
    books.counts |= {
        f"{status}": number for status, number in Counter(r[2] for r in found).items()
    }


def _attempts(books: Books, rows: Rows, last: Mapping[str, int]) -> None:
    told = rows.ask("SELECT execution_id, number, outcome FROM attempt")
    numbers: dict[str, set[int]] = {}
    for execution_id, number, _ in told:
        numbers.setdefault(execution_id, set()).add(number)
    for execution_id, attempt in last.items():
        if numbers.get(execution_id, set()) != set(range(1, attempt + 1)):
            books.wrong(
                f"{execution_id} made {attempt} attempts, recorded are "
                f"{sorted(numbers.get(execution_id, ()))}"
            )
    books.counts["lost attempts"] = sum(outcome == "lost" for *_, outcome in told)
    books.counts["attempts"] = len(told)


def _children(books: Books, rows: Rows, found: Sequence[Any]) -> None:
    children = Counter(r[6] for r in found if r[6])
    for execution_id, bot, status, *_ in found:
        if bot == "parent" and status == "succeeded" and children[execution_id] != 2:
            books.wrong(f"{execution_id} has {children[execution_id]} children instead of 2")
    twice = rows.ask(
        "SELECT idempotency_key, count(*) FROM execution WHERE idempotency_key IS NOT NULL "
        "GROUP BY idempotency_key HAVING count(*) > 1"
    )
    for key, count in twice:
        books.wrong(f"{count} executions of the one key {key}")


def _counter(books: Books, rows: Rows, found: Sequence[Any]) -> None:
    wanted = sum(1 for r in found if r[1] == "count" and r[2] == "succeeded")
    told = rows.ask(
        "SELECT value FROM state JOIN bot ON bot.id = state.bot_id WHERE bot.name = 'count' "
        "AND key = 'n'"
    )
    value = int(float(told[0][0])) if told else 0
    if value != wanted:
        books.wrong(f"the counter stands at {value} after {wanted} executions")
    books.counts["counted"] = value


def _occurrences(books: Books, rows: Rows) -> None:
    told = rows.ask(
        "SELECT o.scheduled_at, o.decision, e.id FROM occurrence o JOIN bot b ON b.id = o.bot_id "
        "LEFT JOIN execution e ON e.id = o.execution_id WHERE b.name = 'tick' "
        "ORDER BY o.scheduled_at"
    )
    for at, decision, execution_id in told:
        if decision != "fired" or execution_id is None:
            books.wrong(f"the occurrence of {at} was {decision}, execution {execution_id}")
    for (before, *_), (after, *_) in pairwise(told):
        if after - before != 1_000_000:
            books.wrong(f"after the occurrence of {before} the next is that of {after}")
    started = rows.ask("SELECT count(*) FROM execution WHERE bot_name = 'tick'")[0][0]
    if started != len(told):
        books.wrong(f"{len(told)} occurrences and {started} executions of the schedule")
    books.counts["occurrences"] = len(told)
