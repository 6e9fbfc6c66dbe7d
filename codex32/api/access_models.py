"""What the API reads and answers about people, workspaces, sign-ins and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from codex32.api.models import Out
from codex32.api.reading import Strict
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.permissions import Role
from codex32.services.access import keys

T = TypeVar("T")

#: A line that can be shown and stored.
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
Line = Annotated[str, StringConstraints(max_length=200, pattern=_LINE)]
Email = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f-\x9f]{1,64}@[^@\s\x00-\x1f\x7f-\x9f]{1,189}$"
    ),
]
Username = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
#: Longer ones are refused by what hashes them, with a reason.
Password = Annotated[str, StringConstraints(max_length=4096)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Scope = Annotated[str, StringConstraints(max_length=64, pattern=_LINE)]
WorkspaceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


_Limit = Annotated[int, Field(ge=1, le=100)]


class IdsQuery(Strict):
    """Which part of a list that goes by ids."""

    cursor: str | None = Field(None, pattern=ID_PATTERN.pattern)
    limit: _Limit = 20


class NamesQuery(Strict):
    """Which part of a list that goes by names."""

    cursor: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    limit: _Limit = 20


class TokenOut(Out):
    """What a client gets that signed in (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds.")
    refresh_token: str
    scope: str


class OAuthErrorOut(Out):
    """An error of RFC 6749, 5.2."""

    error: Literal[
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "unsupported_grant_type",
        "temporarily_unavailable",
    ]
    error_description: str


class RefreshBody(Strict):
    """A refresh token; it is used up."""

    refresh_token: Token


class RegisterBody(Strict):
    """Who wants an account."""

    email: Email
    username: Username
    full_name: Line = ""
    password: Password


class ForgotBody(Strict):
    """Whose password is to be set anew."""

    email: Email


class ResetBody(Strict):
    """A one-time code and the password it shall set."""

    code: Token
    password: Password


class ResetOut(Out):
    """Whose password was set."""

    username: str


class AccountOut(Out):
    """Somebody who can sign in."""

    id: str
    username: str
    email: str
    email_verified: bool
    full_name: str
    active: bool
    admin: bool = Field(description="Administers the whole installation.")
    home: str | None = Field(description="The workspace of requests that name none.")
    created_at: datetime


class WorkspaceOut(Out):
    """A room of its own for bots, secrets and people."""

    name: str
    title: str
    created_at: datetime
    role: Role | None = Field(description="Of whoever asks.")


class MeOut(Out):
    """Who the caller is, and what they may do."""

    kind: Literal["user", "key", "operator"]
    name: str
    admin: bool
    workspace: str = Field(description="In which this request works; empty: in none.")
    role: Role | None
    permissions: list[str] | None = Field(description="In this workspace; null is everything.")
    account: AccountOut | None = Field(description="Null for the operator, who has none.")
    workspaces: list[WorkspaceOut] = Field(description="The first hundred of them, by name.")


class MeBody(Strict):
    """What one may change of one's own account."""

    username: Username | None = None
    full_name: Line | None = None
    email: Email | None = Field(None, description="Needs `current_password`.")
    current_password: Password | None = None
    home: WorkspaceName | None = Field(None, description="One of the own workspaces.")


class PasswordBody(Strict):
    """Another password; all other sign-ins end."""

    current_password: Password
    password: Password


class SessionOut(Out):
    """A sign-in."""

    id: str
    method: Literal["password", "oidc"]
    client: str
    address: str
    present: bool = Field(description="The one that asks.")
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class KeyBody(Strict):
    """An API key to be made, for the workspace of the request."""

    name: Annotated[Line, StringConstraints(min_length=1)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=64)]
    days: Annotated[int, Field(ge=1, le=keys.MAX_DAYS)] = Field(
        keys.DEFAULT_DAYS, description="How long it is good."
    )


class KeyOut(Out):
    """An API key; its secret is shown once, to whoever makes it."""

    id: str
    prefix: str = Field(description="The part that may be shown.")
    name: str
    workspace: str
    owner: str = Field(description="Id of the account whose rights bound it.")
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = Field(description="To about a minute.")
    revoked_at: datetime | None


class KeyMadeOut(KeyOut):
    """A new API key."""

    key: str = Field(description="The whole key; it is never shown again.")


class UserBody(Strict):
    """An account to be made; it has no password until its owner sets one with the code."""

    email: Email
    username: Username
    full_name: Line = ""
    admin: bool = False


class CodeOut(Out):
    """A code with which an account's owner sets a password, once."""

    code: str = Field(description="To be handed over; it is never shown again.")
    expires_in: int = Field(description="Seconds.")


class UserMadeOut(Out):
    """A new account and the way in."""

    account: AccountOut
    way_in: CodeOut


class UserPatch(Strict):
    """What an administrator may change of an account."""

    email: Email | None = None
    username: Username | None = None
    full_name: Line | None = None
    active: bool | None = None
    admin: bool | None = None


class WorkspaceBody(Strict):
    """A workspace to be made."""

    name: WorkspaceName
    title: Line = ""


class WorkspacePatch(Strict):
    """What may be changed of a workspace."""

    title: Line


class MemberOut(Out):
    """Somebody who belongs to a workspace."""

    id: str
    username: str
    full_name: str
    active: bool
    role: Role
    since: datetime


class MemberBody(Strict):
    """Who shall be what."""

    user: Annotated[Line, StringConstraints(min_length=1)] = Field(
        description="Username or id; for administrators of the installation also an address."
    )
    role: Annotated[Role, Field(strict=False)]


class RoleBody(Strict):
    """What a member shall be."""

    role: Annotated[Role, Field(strict=False)]


def page(rows: Sequence[T], limit: int, key: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """A page of ``limit`` out of one row more, and the cursor of the next, if there is one."""
    shown = rows[:limit]
    return shown, key(shown[-1]) if len(rows) > len(shown) else None
