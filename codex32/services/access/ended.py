"""Letting go of sign-ins, codes and counts that are over, a little at a time."""

from __future__ import annotations

from codex32.kernel.account_rows import (
    OidcFlowRow,
    OneTimeTokenRow,
    RefreshTokenRow,
    SessionRow,
    SignInCountRow,
)
from codex32.kernel.database import Door, fetch

#: Sign-ins that are deleted in one transaction.
CHUNK = 500
_DAY_MICROS = 86_400_000_000
#: For so long people can still look at a sign-in that has ended.
_SESSION_MICROS = 30 * _DAY_MICROS


async def prune(door: Door, now: int) -> int:
    """Delete what is over at ``now`` (microseconds); how many sign-ins it were."""
    await door.write(lambda: _delete_short_lived(now))
    before, done = now - _SESSION_MICROS, 0
    over = (SessionRow.expires_at < before) | (SessionRow.revoked_at < before)
    chunk = SessionRow.select(SessionRow.id).where(over).limit(CHUNK)
    while ids := await door.read(lambda: [row[0] for row in fetch(chunk)]):
        done += await door.write(lambda ids=ids: _delete(ids))  # type: ignore[misc]
    return done


def _delete(ids: list[str]) -> int:
    RefreshTokenRow.delete().where(RefreshTokenRow.session_id.in_(ids)).execute()
    return int(SessionRow.delete().where(SessionRow.id.in_(ids)).execute())


def _delete_short_lived(now: int) -> None:
    yesterday = now - _DAY_MICROS
    SignInCountRow.delete().where(SignInCountRow.at < yesterday).execute()
    OneTimeTokenRow.delete().where(OneTimeTokenRow.expires_at < yesterday).execute()
    OidcFlowRow.delete().where(OidcFlowRow.expires_at < now).execute()
