"""Requests under an idempotency key: done once, and answered alike whenever they come again.

A key belongs to whoever sent it, in one workspace, for a day. The request is put down before it is
carried out, so that of two that come together one is, and its answer after that. One that was
broken off in between is never carried out again under its key: whoever asks is told that nobody
knows. Answers are sealed: some show a secret that is shown once, and to nobody who reads the
database.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, fetch
from codex32.kernel.errors import Codex32Error, IdempotencyConflict
from codex32.kernel.json_values import JSON, canonical, dumps, loads
from codex32.kernel.safe_rows import RequestRow
from codex32.services.safe.vault import Vault, lock, seal, unseal

#: Answers are kept for so long, in microseconds.
KEPT_MICROS = 24 * 3_600_000_000
#: What was put down and not answered for so long was broken off: nobody knows how far it came.
UNDER_WAY_MICROS = 60_000_000
#: Whose data keys seal answers.
_SCOPE = "requests"
_CHUNK = 500


class RequestUnderWay(Codex32Error):
    """A request with this idempotency key is being carried out; ask again in a while."""

    code = "request-under-way"

    def __init__(self) -> None:
        super().__init__("a request with this idempotency key is being carried out")


class RequestUnsure(Codex32Error):
    """A request with this idempotency key was broken off; look whether it was done."""

    code = "request-unsure"

    def __init__(self) -> None:
        super().__init__(
            "a request with this idempotency key was broken off, and may have been carried out or "
            "not; look, and ask again under another key if it was not"
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is known again.

    Attributes:
      workspace: Where.
      digest: Of the key, of whose it is and where.
      request: Digest of what is asked for.
    """

    workspace: str
    digest: str
    request: str

    @classmethod
    def of(cls, key: str, caller: Caller, operation: str, wish: JSON) -> Asked:
        """What ``caller`` asks for under ``key``; ``wish`` is all that the operation is told."""
        whose = [caller.workspace, caller.kind, caller.id, key]
        return cls(caller.workspace, _sha256(whose), _sha256([operation, wish]))


def claim(vault: Vault, asked: Asked, now: int) -> JSON:
    """Put a request down, so that nobody else carries it out; the answer if that was done before.

    Raises:
      IdempotencyConflict: Something else was asked for under this key.
      RequestUnderWay: It is being carried out.
      RequestUnsure: It was broken off.
      KeyMissing: The key ring lacks what the answer is sealed with.
    """
    lock(asked.digest)
    this = RequestRow.digest == asked.digest
    row = RequestRow.get_or_none(this)
    if row is not None and now - row.created_at > KEPT_MICROS:
        RequestRow.delete().where(this).execute()
        row = None
    if row is None:
        RequestRow.insert(
            digest=asked.digest,
            workspace=asked.workspace,
            request=asked.request,
            created_at=now,
        ).execute()
        return None
    if row.request != asked.request:
        raise IdempotencyConflict("this idempotency key came with another request; take a new one")
    if row.answer is None:
        # Carrying it out again could do twice what was done before it was broken off.
        raise RequestUnderWay if now - row.created_at <= UNDER_WAY_MICROS else RequestUnsure
    number, _, sealed = row.answer.partition(":")
    key = vault.data_key(_SCOPE, int(number))
    about = (_SCOPE, asked.digest, asked.request)
    return loads(unseal(key, sealed, about, "the answer to a request"))


def answered(vault: Vault, asked: Asked, answer: JSON, now: int) -> None:
    """Keep how a request that was put down was answered."""
    number, key = vault.present(_SCOPE, now)
    sealed = seal(key, dumps(answer).encode(), (_SCOPE, asked.digest, asked.request))
    this = RequestRow.digest == asked.digest
    RequestRow.update(answer=f"{number}:{sealed}").where(this).execute()


def withdraw(asked: Sequence[Asked]) -> list[None]:
    """Let go of requests that were refused: nothing was done. A batch for ``Door.post``."""
    mine = RequestRow.digest.in_([each.digest for each in asked])
    RequestRow.delete().where(mine & RequestRow.answer.is_null()).execute()
    return [None] * len(asked)


async def prune(door: Door, now: int) -> int:
    """Delete what is too old to be asked for again; how many."""
    old = RequestRow.created_at < now - KEPT_MICROS
    chunk = RequestRow.select(RequestRow.digest).where(old).limit(_CHUNK)
    done = 0
    while digests := await door.read(lambda: [row[0] for row in fetch(chunk)]):
        done += await door.write(RequestRow.delete().where(RequestRow.digest.in_(digests)).execute)
    return done


def _sha256(value: JSON) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()
