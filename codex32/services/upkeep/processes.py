"""Which processes of the house are alive, by their heartbeats."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from functools import partial

import peewee as pw

from codex32.kernel.batches import Insert
from codex32.kernel.database import Door, fetch
from codex32.kernel.json_values import dumps
from codex32.kernel.metric_rows import ProcessRow
from codex32.kernel.pools import Pool, pools

log = logging.getLogger(__name__)

_BEAT = Insert(
    ProcessRow,
    ("id", "kind", "host", "pid", "started_at", "seen_at", "pools"),
    replace=True,
)


def heartbeat(
    process_id: str,
    kind: str,
    started_at: int,
    now: int,
    busy: Mapping[str, Pool] | None = None,
) -> None:
    """Say that this very process, which is ``process_id``, is alive.

    Args:
      process_id: Made once a process with ``new_id("prc")``.
      kind: ``api``, ``worker``, ``scheduler``, ``up`` or ``cli``.
      started_at: When the process began, in microseconds.
      now: The present, in microseconds.
      busy: How busy its pools are, see :func:`busy_pools`.
    """
    told = dumps({name: list(pool) for name, pool in (busy or {}).items()})
    _BEAT.write([(process_id, kind, socket.gethostname(), os.getpid(), started_at, now, told)])


def still_alive(process_id: str, now: int) -> None:
    """Say so between heartbeats, if there was one."""
    ProcessRow.update(seen_at=now).where(ProcessRow.id == process_id).execute()


def busy_pools(door: Door) -> Mapping[str, Pool]:
    """How busy the pools of this very process are, by name."""
    return {**door.pools(), **pools.look()}


def living(now: int, within_seconds: float = 30.0) -> list[ProcessRow]:
    """The processes heard of within ``within_seconds``, by kind, oldest first."""
    heard = ProcessRow.seen_at >= now - int(within_seconds * 1e6)
    rows = ProcessRow.select().where(heard)
    return list(rows.order_by(ProcessRow.kind, ProcessRow.started_at))


def last_heard(kind: str) -> int | None:
    """When a process of this kind was heard of last; None where none is on the list."""
    heard: int | None = (
        ProcessRow.select(pw.fn.MAX(ProcessRow.seen_at)).where(ProcessRow.kind == kind).scalar()
    )
    return heard


async def leave(door: Door, process_id: str) -> None:
    """Take this very process off the list, for it stops; without the database it just goes."""
    try:
        await door.write(partial(forget, process_id), patience_seconds=1)
    except Exception as error:
        log.warning("the process could not be taken off the list: %s", error)


def forget(process_id: str) -> None:
    """Take a process that stops off the list."""
    ProcessRow.delete().where(ProcessRow.id == process_id).execute()


def forget_silent(now: int, after_seconds: float = 3600.0) -> int:
    """Take processes off the list that died without a word; how many."""
    silent = ProcessRow.seen_at < now - int(after_seconds * 1e6)
    ids = [row[0] for row in fetch(ProcessRow.select(ProcessRow.id).where(silent))]
    return int(ProcessRow.delete().where(ProcessRow.id.in_(ids)).execute()) if ids else 0
