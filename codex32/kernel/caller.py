"""Who asks for something, and in which workspace."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Final

#: The workspace of whoever names none: of the folders, the command line and the operator.
DEFAULT_WORKSPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was recognised, or a stranger.

    Attributes:
      kind: ``user``, ``key`` (an API key), ``operator`` (the token of the installation),
        ``local`` (somebody at the command line), ``house`` or ``stranger``.
      id: Of the user, of the key; else the kind.
      name: As they stand under what they did: a username, for a key its owner's and its own name.
      user_id: The account behind it, also behind a key.
      username: Of whoever a key belongs to.
      admin: Whether they administer the whole installation.
      workspace: In which the request works; empty where it works in none.
      undecided: Whether they could work in a workspace, named none and have no home.
      role: Theirs in this workspace, if they are a member.
      permissions: What they may do here; None stands for everything.
      session_id: The sign-in that the request belongs to.
      address: Where the request came from.
      request_id: The request, as logs and the audit log name it.
    """

    kind: str
    id: str
    name: str
    user_id: str | None = None
    username: str = ""
    admin: bool = False
    workspace: str = ""
    undecided: bool = False
    role: str | None = None
    permissions: frozenset[str] | None = frozenset()
    session_id: str | None = None
    address: str = ""
    request_id: str = ""

    @property
    def owner(self) -> str:
        """Whose becomes what they make: of a key's, its owner's."""
        return self.username or self.name

    def may(self, permission: str) -> bool:
        """Whether they hold this permission here."""
        return self.permissions is None or permission in self.permissions

    def told(self) -> dict[str, str]:
        """Who it is, for a record that is kept: as the audit log tells it."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "address": self.address,
            "request": self.request_id,
        }

    def asking(self, address: str, request_id: str) -> Caller:
        """The same, from somewhere and by one request."""
        return Caller(*(*_who(self), address, request_id))


#: All but the last two; ``dataclasses.replace`` takes twice as long, at every request.
_who = attrgetter(*(each.name for each in fields(Caller)[:-2]))


STRANGER: Final = Caller("stranger", "stranger", "a stranger")
#: What nobody asked for: the house does it of itself.
HOUSE: Final = Caller("house", "house", "the house", admin=True, permissions=None)
