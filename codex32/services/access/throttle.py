"""How often somebody may fail to sign in.

Two counts: of an account from one network, so that an account cannot be guessed and yet nobody
can lock its owner out from elsewhere; and of a network alone, so that one password is not tried
on many accounts. Beyond a few failures each further one doubles the time in which nothing is
looked at, up to a bound: nobody is locked out for good. The counts are rows, so any number of API
processes share them, and a restart forgets nothing.

Whoever signs in asks before the password is looked at, and again before a right one is taken: of
many tries made at the same moment, those that come after too many wrong ones fail, too.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from codex32.kernel.account_rows import SignInCountRow
from codex32.services.access.tokens import digest

#: Failures that cost nothing: of an account from one network, and of a network.
FREE_ACCOUNT, FREE_NETWORK = 5, 25
_FIRST_SECONDS = 1.0
#: The longest pauses. A network's is short, for it holds up people who did nothing.
LONGEST_ACCOUNT_SECONDS, LONGEST_NETWORK_SECONDS = 900.0, 60.0
#: After so long without a failure all is forgotten; the rows are let go later (``ended``).
FORGET_MICROS = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class _Count:
    digest: str
    free: int
    longest_seconds: float

    def pause(self, failures: int) -> float:
        """Seconds in which nothing is looked at after so many failures."""
        beyond = failures - self.free
        if beyond < 0:
            return 0.0
        return min(_FIRST_SECONDS * 2.0 ** min(beyond, 32), self.longest_seconds)


def network_of(address: str) -> str:
    """The network that an address is counted under: /24, and /64 with IPv6."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return str(ip_network(f"{found}/{24 if found.version == 4 else 64}", strict=False))


def wait(who: str, address: str, now: int) -> float:
    """Seconds until a try is looked at, 0 where it is at once.

    Args:
      who: The account as it was typed, or what else is tried.
      address: Where it comes from.
      now: Microseconds.
    """
    rows = _rows(_counts(who, address)).values()
    return (
        max((row.blocked_until - now for row in rows if row.blocked_until > now), default=0) / 1e6
    )


def failed(who: str, address: str, now: int) -> None:
    """Count a try that was wrong."""
    counts = _counts(who, address)
    rows = _rows(counts)
    for count in counts:
        row = rows.get(count.digest)
        recent = row is not None and now - row.at < FORGET_MICROS
        failures = (row.failures if row is not None and recent else 0) + 1
        until = now + int(count.pause(failures) * 1e6)
        told = {"failures": failures, "at": now, "blocked_until": until}
        SignInCountRow.insert(digest=count.digest, **told).on_conflict(
            conflict_target=[SignInCountRow.digest], update=told
        ).execute()


def succeeded(who: str, address: str) -> None:
    """Forget the failures of an account whose owner signed in; those of the network stay."""
    account, _ = _counts(who, address)
    SignInCountRow.delete().where(SignInCountRow.digest == account.digest).execute()


def _counts(who: str, address: str) -> tuple[_Count, _Count]:
    network = network_of(address)
    return (
        _Count(
            digest(f"account {who.strip().lower()} {network}"),
            FREE_ACCOUNT,
            LONGEST_ACCOUNT_SECONDS,
        ),
        _Count(digest(f"network {network}"), FREE_NETWORK, LONGEST_NETWORK_SECONDS),
    )


def _rows(counts: Iterable[_Count]) -> dict[str, SignInCountRow]:
    asked = SignInCountRow.digest.in_([count.digest for count in counts])
    return {row.digest: row for row in SignInCountRow.select().where(asked)}
