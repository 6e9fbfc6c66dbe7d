"""What callers may be allowed to do, and which role in a workspace allows what.

Every route of the API names one permission, so this list and the table of routes are all there is
to know about access (docs/reference/permissions.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Level(StrEnum):
    """What a permission reaches."""

    #: One workspace: the caller's role in it decides.
    WORKSPACE = "workspace"
    #: The caller's own account: whoever has one may.
    SELF = "self"
    #: The whole installation: its administrators alone may.
    INSTANCE = "instance"


class Role(StrEnum):
    """What a member is in a workspace."""

    ADMIN = "admin"
    USER = "user"
    VIEWER = "viewer"
    #: Programs: they start executions and look at them.
    API_USER = "api_user"


@dataclass(frozen=True, slots=True)
class Permission:
    """Something a caller may be allowed to do.

    Attributes:
      roles: The roles that hold it; none for the levels that roles do not decide.
    """

    name: str
    level: Level
    summary: str
    roles: frozenset[Role] = frozenset()


_EVERYBODY: Final = frozenset(Role)
_PEOPLE: Final = frozenset({Role.ADMIN, Role.USER, Role.VIEWER})
_USERS: Final = frozenset({Role.ADMIN, Role.USER})
_CALLERS: Final = frozenset({Role.ADMIN, Role.USER, Role.API_USER})
_ADMINS: Final = frozenset({Role.ADMIN})


def _workspace(name: str, roles: frozenset[Role], summary: str) -> Permission:
    return Permission(name, Level.WORKSPACE, summary, roles)


PERMISSIONS: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        each.name: each
        for each in (
            _workspace("workspace.read", _EVERYBODY, "See the workspace's name and title"),
            _workspace("members.read", _PEOPLE, "See who is a member, and as what"),
            _workspace("members.write", _ADMINS, "Take in members, change roles, remove them"),
            _workspace("bots.read", _EVERYBODY, "See bots, their definitions and versions"),
            _workspace("bots.write", _USERS, "Make, change, pause, roll back and delete bots"),
            _workspace("bots.build", _USERS, "Have bots built from descriptions"),
            _workspace("bots.approve", _ADMINS, "Approve versions that want more than before"),
            _workspace("bots.execute", _CALLERS, "Start executions, backfill schedules"),
            _workspace("executions.read", _EVERYBODY, "See executions, their steps and logs"),
            _workspace("executions.cancel", _CALLERS, "Cancel executions"),
            _workspace("executions.retry", _USERS, "Retry executions that have ended"),
            _workspace("executions.resolve", _USERS, "Say what became of an unknown effect"),
            _workspace("executions.dismiss", _USERS, "Take dead letters off the list"),
            _workspace("approvals.read", _PEOPLE, "See what people are asked"),
            _workspace("approvals.decide", _USERS, "Decide what people are asked"),
            _workspace("alerts.read", _PEOPLE, "See alerts, and how they stand"),
            _workspace("alerts.write", _USERS, "Silence alerts, look after them"),
            _workspace("schedules.read", _PEOPLE, "See triggers, their next times and answers"),
            _workspace("events.read", _EVERYBODY, "See events and subscriptions"),
            _workspace("events.publish", _CALLERS, "Publish events"),
            _workspace("hooks.read", _PEOPLE, "See outbound webhooks and their deliveries"),
            _workspace("hooks.write", _ADMINS, "Make, change, test and replay outbound webhooks"),
            _workspace("state.read", _PEOPLE, "See what bots remember"),
            _workspace("state.write", _USERS, "Change what bots remember"),
            _workspace("secrets.read", _USERS, "See the names of secrets, never their values"),
            _workspace("secrets.write", _ADMINS, "Write, rotate and delete secrets"),
            _workspace("collections.read", _EVERYBODY, "See collections and their documents"),
            _workspace("collections.query", _CALLERS, "Search collections, have them answer"),
            _workspace("collections.write", _USERS, "Index, change and delete collections"),
            _workspace("connections.read", _PEOPLE, "See connections, without their secrets"),
            _workspace("connections.write", _ADMINS, "Make, change and delete connections"),
            _workspace("usage.read", _PEOPLE, "See counts, durations and cost"),
            _workspace("keys.manage", _ADMINS, "See and revoke the workspace's API keys"),
            _workspace("audit.read", _ADMINS, "See the workspace's audit log"),
            _workspace("plugins.read", _EVERYBODY, "See what is installed"),
            _workspace("plugins.use", _USERS, "Use routes that plugins add"),
            _workspace("plugins.manage", _ADMINS, "Use routes of plugins that change settings"),
            Permission("caller.read", Level.SELF, "See who one is, and what one may do"),
            Permission("account.read", Level.SELF, "See the own account, sessions and keys"),
            Permission("account.write", Level.SELF, "Change them"),
            Permission("users.read", Level.INSTANCE, "See all users"),
            Permission("users.write", Level.INSTANCE, "Make, change and delete users"),
            Permission("workspaces.write", Level.INSTANCE, "Make and delete workspaces"),
            Permission("instance.read", Level.INSTANCE, "See how the installation does"),
            Permission("instance.audit", Level.INSTANCE, "See and verify the whole audit log"),
        )
    }
)

#: What each role allows inside its workspace.
ROLES: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {
        role: frozenset(name for name, each in PERMISSIONS.items() if role in each.roles)
        for role in Role
    }
)

#: What everybody may who was recognised, programs too.
RECOGNISED: Final = frozenset({"caller.read"})
#: What everybody with an account may do with it.
OWN: Final = frozenset(name for name, each in PERMISSIONS.items() if each.level is Level.SELF)
#: What administrators of the installation may outside all workspaces.
INSTANCE: Final = frozenset(
    name for name, each in PERMISSIONS.items() if each.level is Level.INSTANCE
)
