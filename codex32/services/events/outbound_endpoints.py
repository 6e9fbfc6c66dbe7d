"""Endpoints: the addresses that a workspace's events are sent to, as webhooks.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from codex32.kernel.caller import Caller
from codex32.kernel.database import fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.event_names import pattern_fault
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.outbound_rows import DeliveryAttemptRow, DeliveryRow, EndpointRow
from codex32.kernel.problems import Problem
from codex32.services.events.outbound_signing import new_secret
from codex32.services.presentation import iso
from codex32.services.safe import audit
from codex32.services.safe.vault import Vault, lock, seal, unseal

LONGEST_URL = 2048
LONGEST_DESCRIPTION = 500
MOST_PATTERNS = 20
#: Endpoints of a workspace.
MOST_ENDPOINTS = 50
#: Secrets that sign at the same time, the new one among them.
MOST_SECRETS = 3


class EndpointNotFound(Codex32Error):
    """No outbound webhook has this id."""

    code = "webhook-not-found"

    def __init__(self, asked: str) -> None:
        super().__init__(f"no outbound webhook is called {asked!r}")


class EndpointInvalid(Codex32Error):
    """An outbound webhook cannot be so."""

    code = "webhook-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an endpoint shall be; None leaves it as it is."""

    url: str | None = None
    events: Sequence[str] | None = None
    description: str | None = None
    enabled: bool | None = None

    def check(self) -> None:
        """Refuse what no endpoint can be.

        Raises:
          EndpointInvalid: With all faults.
        """
        problems: list[Problem] = []
        if self.url is not None and (fault := _url_fault(self.url)):
            problems.append(Problem(fault, "url"))
        if self.events is not None:
            if not 1 <= len(self.events) <= MOST_PATTERNS:
                told = f"name 1 to {MOST_PATTERNS} events, or patterns of them"
                problems.append(Problem(told, "events"))
            problems += [
                Problem(fault, f"events.{place}")
                for place, pattern in enumerate(self.events)
                if (fault := pattern_fault(pattern))
            ]
        if self.description is not None and len(self.description) > LONGEST_DESCRIPTION:
            told = f"a description has at most {LONGEST_DESCRIPTION} characters"
            problems.append(Problem(told, "description"))
        if problems:
            raise EndpointInvalid(problems)

    def values(self) -> dict[str, JSON]:
        """The columns that are meant."""
        given: dict[str, JSON] = {
            "url": self.url,
            "patterns": None if self.events is None else dumps(list(dict.fromkeys(self.events))),
            "description": self.description,
            "enabled": self.enabled,
        }
        return {name: value for name, value in given.items() if value is not None}


def create(
    vault: Vault, wish: Wish, caller: Caller, now: int, *, workspace: str
) -> tuple[EndpointRow, str]:
    """A new endpoint, and its secret, which nothing tells again.

    Raises:
      EndpointInvalid: It cannot be so, or there are too many.
      KeyMissing: The key ring lacks what the workspace's secrets are sealed with.
    """
    wish.check()
    lock(_scope(workspace))
    if EndpointRow.select().where(EndpointRow.workspace == workspace).count() >= MOST_ENDPOINTS:
        raise EndpointInvalid([Problem(f"a workspace has at most {MOST_ENDPOINTS} webhooks")])
    endpoint_id, secret = new_id("whk"), new_secret()
    EndpointRow.insert(
        id=endpoint_id,
        workspace=workspace,
        secrets=_sealed(vault, workspace, endpoint_id, [{"secret": secret, "until": None}], now),
        created_at=now,
        updated_at=now,
        **{"description": "", **wish.values()},
    ).execute()
    _record(caller, "created", endpoint_id, now, workspace, wish.values())
    return get(endpoint_id, workspace=workspace), secret


def get(endpoint_id: str, *, workspace: str) -> EndpointRow:
    """An endpoint of the workspace.

    Raises:
      EndpointNotFound: There is none of this id.
    """
    row = EndpointRow.get_or_none(_this(endpoint_id, workspace))
    if row is None:
        raise EndpointNotFound(endpoint_id)
    return row


def listing(*, workspace: str, after: str | None = None, limit: int = 20) -> list[EndpointRow]:
    """Endpoints in the order in which they were made, from behind the id ``after``."""
    rows = EndpointRow.select().where(EndpointRow.workspace == workspace)
    if after is not None:
        rows = rows.where(EndpointRow.id > after)
    return list(rows.order_by(EndpointRow.id).limit(limit))


def change(
    endpoint_id: str, wish: Wish, caller: Caller, now: int, *, workspace: str
) -> EndpointRow:
    """Make an endpoint what is wished; one that is enabled begins without a bad record.

    Raises:
      EndpointNotFound: There is none of this id.
      EndpointInvalid: It cannot be so.
    """
    wish.check()
    get(endpoint_id, workspace=workspace)
    values: dict[str, JSON] = {**wish.values(), "updated_at": now}
    if wish.enabled is not None:
        values["disabled_because"] = ""
    if wish.enabled:
        values |= {"failing_since": None, "resume_at": None}
    EndpointRow.update(values).where(_this(endpoint_id, workspace)).execute()
    _record(caller, "changed", endpoint_id, now, workspace, wish.values())
    return get(endpoint_id, workspace=workspace)


def delete(endpoint_id: str, caller: Caller, now: int, *, workspace: str) -> None:
    """Remove an endpoint with its deliveries; what is being sent is still sent.

    Raises:
      EndpointNotFound: There is none of this id.
    """
    if not EndpointRow.delete().where(_this(endpoint_id, workspace)).execute():
        raise EndpointNotFound(endpoint_id)
    mine = DeliveryRow.endpoint_id == endpoint_id
    ids = [row[0] for row in fetch(DeliveryRow.select(DeliveryRow.id).where(mine))]
    # The deliveries first: who is just taking one has noted its attempt once they are gone.
    DeliveryRow.delete().where(mine).execute()
    for start in range(0, len(ids), 500):
        theirs = DeliveryAttemptRow.delivery_id.in_(ids[start : start + 500])
        DeliveryAttemptRow.delete().where(theirs).execute()
    _record(caller, "deleted", endpoint_id, now, workspace)


def rotate(
    vault: Vault,
    endpoint_id: str,
    caller: Caller,
    now: int,
    *,
    keep_seconds: float,
    workspace: str,
) -> str:
    """A new secret; those before sign beside it for so long.

    Raises:
      EndpointNotFound: There is none of this id.
      KeyMissing: The key ring lacks what the workspace's secrets are sealed with.
    """
    lock(_scope(workspace))
    row = get(endpoint_id, workspace=workspace)
    until, secret = now + int(keep_seconds * 1e6), new_secret()
    older = [
        {"secret": each["secret"], "until": min(each["until"] or until, until)}
        for each in _opened(vault, row)
        if each["until"] is None or each["until"] > now
    ]
    kept = [{"secret": secret, "until": None}, *older][:MOST_SECRETS]
    EndpointRow.update(
        secrets=_sealed(vault, workspace, endpoint_id, kept, now), updated_at=now
    ).where(_this(endpoint_id, workspace)).execute()
    _record(caller, "rotated", endpoint_id, now, workspace)
    return secret


def keys(vault: Vault, row: EndpointRow, now: int) -> list[str]:
    """The secrets that sign now, the newest first.

    Raises:
      KeyMissing: The key ring lacks a key.
      SealBroken: They were changed.
    """
    opened = _opened(vault, row)
    return [each["secret"] for each in opened if each["until"] is None or each["until"] > now]


def as_dict(row: EndpointRow) -> dict[str, JSON]:
    """An endpoint as plain data for JSON; nothing of its secrets."""
    return {
        "id": row.id,
        "url": row.url,
        "description": row.description,
        "events": loads(row.patterns),
        "enabled": row.enabled,
        "disabled_because": row.disabled_because or None,
        "failing_since": iso(row.failing_since),
        "resume_at": iso(row.resume_at),
        "delivered": row.delivered,
        "failed": row.failed,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def _url_fault(url: str) -> str:
    if len(url) > LONGEST_URL:
        return f"a URL has at most {LONGEST_URL} characters"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "the URL cannot be read; write for example https://example.com/hooks"
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable():
        return "write a URL such as https://example.com/hooks"
    if parts.username is not None or parts.password is not None:
        return "a URL may not hold a user or a password; signatures show who sends"
    if "#" in url:
        return "what follows # is sent to nobody; leave it out"
    return ""


def _this(endpoint_id: str, workspace: str) -> JSON:
    return (EndpointRow.id == endpoint_id) & (EndpointRow.workspace == workspace)


def _record(
    caller: Caller,
    verb: str,
    endpoint_id: str,
    now: int,
    workspace: str,
    about: Mapping[str, JSON] | None = None,
) -> None:
    change = dict(about) if about else None
    audit.record(caller, f"webhook.{verb}", endpoint_id, now, change=change, workspace=workspace)


def _scope(workspace: str) -> str:
    return f"webhooks:{workspace}"


def _sealed(vault: Vault, workspace: str, endpoint_id: str, opened: JSON, now: int) -> str:
    number, key = vault.present(_scope(workspace), now)
    return f"{number}:{seal(key, dumps(opened).encode(), (workspace, endpoint_id))}"


def _opened(vault: Vault, row: EndpointRow) -> list[dict[str, JSON]]:
    number, _, sealed = row.secrets.partition(":")
    key = vault.data_key(_scope(row.workspace), int(number))
    what = f"the secrets of the webhook {row.id}"
    opened: list[dict[str, JSON]] = loads(unseal(key, sealed, (row.workspace, row.id), what))
    return opened
