"""The rows of sessions: begun, worked on by one at a time, answered, branched, given up.

A session is one row. Whoever works on it holds a lease that they renew; whoever writes names the
version that they have seen, so that of two who write at once one does (decision 24).

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

import secrets as chance
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from codex32.kernel.building_rows import BuildRow
from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, fetch
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.kernel.spending_rows import ModelAnswerRow
from codex32.kernel.text import did_you_mean
from codex32.services.bots import bots
from codex32.services.building.asking import settled
from codex32.services.building.faults import AnswersInvalid, BuildConflict, BuildNotFound
from codex32.services.building.session import OPEN, STAGES, Session, Stage, Status, Work
from codex32.services.safe import audit

#: Rows that are deleted in one transaction.
_CHUNK = 500
#: Sessions that wait whose turns are told.
_MOST_WAITING = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants built.

    Attributes:
      description: In their words, secrets masked.
      bot: Name of the bot that is to be refined; None for a new one.
      seconds: How long it may be worked on at a time.
      base_version_id: Of that bot; None for the one that is live.
      repair: As :attr:`Work.repair`; there is nothing to interpret then.
    """

    description: str
    model: str
    budget_nano: int
    seconds: float
    fallback: Sequence[str] = ()
    bot: str | None = None
    base_version_id: str | None = None
    repair: Mapping[str, JSON] = field(default_factory=dict)


def begin(order: Order, caller: Caller, now: int) -> Session:
    """A new session, which somebody will find to be worked on.

    Raises:
      BotNotFound: There is no bot to refine.
    """
    order = resolved(order, caller.workspace)
    work = Work(order.description, order.model, order.fallback, chance.token_hex(8))
    session = Session(
        id=new_id("bld"),
        workspace=caller.workspace,
        owner=caller.name,
        status="working",
        stage="compose" if order.repair else "interpret",
        work=replace(work, repair=order.repair),
        version=1,
        budget_nano=order.budget_nano,
        deadline_at=now + int(order.seconds * 1e6),
        created_at=now,
        updated_at=now,
        bot=order.bot,
        base_version_id=order.base_version_id,
    )
    BuildRow.insert(**session.columns()).execute()
    audit.record(caller, "build.begun", session.id, now, change={"bot": order.bot})
    return session


def resolved(order: Order, workspace: str) -> Order:
    """With the version that is refined, where a bot is named.

    Raises:
      BotNotFound: There is no bot to refine.
    """
    if order.bot is None:
        return order
    row = bots.there(order.bot, workspace=workspace)
    if row.active_version_id is None:
        raise bots.never_live(row)
    return replace(order, base_version_id=order.base_version_id or row.active_version_id)


def get(session_id: str, workspace: str) -> Session:
    """A session of the workspace.

    Raises:
      BuildNotFound: There is none.
    """
    mine = (BuildRow.id == session_id) & (BuildRow.workspace == workspace)
    row = BuildRow.get_or_none(mine)
    if row is None:
        raise BuildNotFound(session_id)
    return Session.of(row)


def listing(
    workspace: str, *, status: Sequence[str] = (), before: str | None = None, limit: int = 20
) -> list[Session]:
    """Sessions of the workspace, the newest first.

    Args:
      workspace: Whose.
      status: Any of them; none stands for all.
      before: Only those begun before this one.
      limit: Most of them.
    """
    rows = BuildRow.select().where(BuildRow.workspace == workspace)
    if status:
        rows = rows.where(BuildRow.status.in_(list(status)))
    if before is not None:
        rows = rows.where(BuildRow.id < before)
    return [Session.of(row) for row in rows.order_by(BuildRow.id.desc()).limit(limit)]


def waiting(now: int, session_id: str | None = None) -> list[str]:
    """Sessions that are to be worked on and that nobody works on, in the order of their turns.

    People take turns: whoever has the fewest worked on or before them comes next, and of their
    sessions the longest waiting; who has begun twenty delays nobody else by more than one.

    Args:
      now: Microseconds.
      session_id: This one alone; None for all, of which at most ``_MOST_WAITING`` are told.
    """
    free = BuildRow.lease_until.is_null() | (BuildRow.lease_until <= now)
    rows = BuildRow.select(BuildRow.id, BuildRow.workspace, BuildRow.owner).where(
        (BuildRow.status == "working") & free
    )
    if session_id is not None:
        return [found for found, *_ in fetch(rows.where(BuildRow.id == session_id))]
    held = BuildRow.select(BuildRow.workspace, BuildRow.owner).where(
        (BuildRow.status == "working") & ~free
    )
    turns = Counter(tuple(each) for each in fetch(held))
    queue = []
    for place, (found, *owner) in enumerate(
        fetch(rows.order_by(BuildRow.updated_at, BuildRow.id).limit(_MOST_WAITING))
    ):
        queue.append((turns[tuple(owner)], place, found))
        turns[tuple(owner)] += 1
    return [found for _, _, found in sorted(queue)]


def claim(now: int, lease_until: int, session_id: str | None = None) -> Session | None:
    """A session that nobody works on; it is then the caller's.

    Args:
      now: Microseconds.
      lease_until: When others may take it, unless :func:`hold` was called before.
      session_id: This one alone; None for whichever waits longest.
    """
    for found in waiting(now, session_id):
        row = BuildRow.get_by_id(found)
        with suppress(BuildConflict):  # somebody else was quicker
            return put(replace(Session.of(row), lease_until=lease_until), now)
    return None


def hold(session: Session, lease_until: int) -> bool:
    """Renew a lease; False where the session is no longer as it was, so that work must stop."""
    mine = (BuildRow.id == session.id) & (BuildRow.version == session.version)
    return bool(BuildRow.update(lease_until=lease_until).where(mine).execute())


def put(session: Session, now: int) -> Session:
    """Write what became of a session.

    Raises:
      BuildConflict: It was changed since ``session`` was read.
    """
    changed = replace(session, version=session.version + 1, updated_at=now)
    columns = changed.columns()
    seen = (BuildRow.id == session.id) & (BuildRow.version == session.version)
    if not BuildRow.update(**columns).where(seen).execute():
        raise BuildConflict(f"session {session.id} was changed meanwhile; look at it again")
    return changed


def forget_answers(session_id: str) -> None:
    """Let go of what models answered to a stage that is over."""
    ModelAnswerRow.delete().where(ModelAnswerRow.execution_id == session_id).execute()


def answer(
    session_id: str,
    given: Mapping[str, str],
    caller: Caller,
    now: int,
    *,
    seconds: float,
    go_on: bool = False,
    version: int | None = None,
) -> Session:
    """Take answers, in any order; once all are there, or the rest is left open, work goes on.

    Args:
      session_id: Which.
      given: By the id of the question, secrets masked; an answer given before may be changed
        while it is asking.
      caller: Who answers.
      now: Microseconds.
      seconds: How long it may be worked on from now.
      go_on: What is not answered takes its default.
      version: Which the answers are for; None for whichever is there.

    Raises:
      BuildNotFound: There is no such session.
      BuildConflict: It asks nothing now, or was changed since.
      AnswersInvalid: It asked no such question.
    """
    session = get(session_id, caller.workspace)
    questions = {each.id: each for each in session.work.questions}
    problems = [
        Problem(f"it was not asked{did_you_mean(name, questions)}", f"answers.{name}")
        for name in given
        if name not in questions
    ]
    if problems:
        raise AnswersInvalid(problems)
    if version is not None and version != session.version:
        raise BuildConflict(f"{session.id} is at version {session.version}, not {version}")
    if session.status != "asking":
        if all(
            session.work.answers.get(name) == settled(questions[name], text)
            for name, text in given.items()
        ):
            return session  # the same answers, sent again
        raise BuildConflict(f"{session.id} asks nothing any more: it is {session.status}")
    answers = dict(session.work.answers)
    answers |= {name: settled(questions[name], text) for name, text in given.items()}
    session = session.now(answers=answers)
    if go_on or {each.id for each in session.work.open} <= answers.keys():
        deadline = now + int(seconds * 1e6)
        session = replace(session, status="working", stage="compose", deadline_at=deadline)
    audit.record(caller, "build.answered", session.id, now, change={"questions": sorted(given)})
    return put(session, now)


def abandon(session_id: str, caller: Caller, now: int) -> Session:
    """Give a session up; whoever works on it stops.

    Raises:
      BuildNotFound: There is none.
      BuildConflict: It is over.
    """
    session = get(session_id, caller.workspace)
    if session.status == "abandoned":
        return session
    if session.status not in OPEN:
        raise BuildConflict(f"{session.id} is over: it is {session.status}")
    audit.record(caller, "build.abandoned", session.id, now)
    forget_answers(session.id)
    return put(replace(session, status="abandoned", lease_until=None), now)


def branch(
    session_id: str,
    stage: Stage,
    caller: Caller,
    now: int,
    *,
    seconds: float,
    description: str | None = None,
) -> Session:
    """Another session that goes on from a stage of this one, with a budget of its own.

    Args:
      session_id: From which.
      stage: The first that is done anew. What was answered is not asked again, unless there is
        another description, of which nobody has said anything yet.
      caller: Whose it becomes.
      now: Microseconds.
      seconds: How long it may be worked on.
      description: Instead of the former one; only from the beginning.

    Raises:
      BuildNotFound: There is no such session.
      BuildConflict: It never came that far.
    """
    former = get(session_id, caller.workspace)
    work = former.work
    status: Status = "working"
    if STAGES.index(stage) > STAGES.index(former.stage):
        raise BuildConflict(f"{former.id} never came to {stage}, only to {former.stage}")
    if stage == "interpret":
        if work.repair:
            raise BuildConflict(f"{former.id} repairs a bot: it begins with the stage compose")
        given = () if description is not None else work.given
        answers = {each.id: work.answers[each.id] for each in given}
        work = Work(description or work.description, work.model, work.fallback)
        work = replace(work, questions=given, answers=answers)
    elif description is not None:
        raise BuildConflict("another description can only be told from the stage interpret on")
    elif stage == "compose":
        open_ = (q for q in work.questions if not q.late and q.id not in work.answers)
        work = replace(work, questions=(*work.given, *open_), yaml="", python="", proof=None)
        work = replace(work, notes="", accepted={})
        status = "asking" if work.unanswered else "working"
    else:
        python = work.python if work.repair else ""  # of others it is written anew
        work = replace(work, python=python, proof=None, accepted={})
    session = replace(
        former,
        id=new_id("bld"),
        parent_id=former.id,
        owner=caller.name,
        status=status,
        stage=stage,
        work=replace(work, fence=chance.token_hex(8)),
        version=1,
        deadline_at=now + int(seconds * 1e6),
        lease_until=None,
        message="",
        created_at=now,
        updated_at=now,
    )
    BuildRow.insert(**session.columns()).execute()
    audit.record(caller, "build.branched", session.id, now, change={"from": former.id})
    return session


async def prune(door: Door, now: int, keep_days: float | None) -> int:
    """Delete sessions that nobody has changed for so long; how many."""
    if keep_days is None:
        return 0
    before = now - int(keep_days * 86_400 * 1e6)
    old = BuildRow.select(BuildRow.id).where(
        (BuildRow.updated_at < before) & (BuildRow.status != "working")
    )
    done = 0
    while ids := await door.read(lambda: [each for (each,) in fetch(old.limit(_CHUNK))]):
        done += await door.write(BuildRow.delete().where(BuildRow.id.in_(ids)).execute)
    return done
