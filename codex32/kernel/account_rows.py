"""The rows of people and programs: who they are, where they belong, how they sign in.

No secret stands in any of them: passwords as argon2id, tokens and keys as SHA-256 of what has at
least 128 random bits.
"""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class AccountRow(Row):
    """Somebody who can sign in."""

    id = pw.TextField(primary_key=True)
    #: In lower case.
    email = pw.TextField(unique=True)
    #: Whether somebody who may know vouches for the address: an administrator, or its mailbox.
    email_verified = pw.BooleanField(default=False)
    username = pw.TextField(unique=True)
    full_name = pw.TextField(default="")
    active = pw.BooleanField(default=True)
    #: Administers the whole installation.
    admin = pw.BooleanField(default=False)
    #: argon2id in its own notation; None as long as no password was set.
    password_hash = pw.TextField(null=True)
    #: Access tokens carry it: counting on makes all that are out worthless.
    token_version = pw.IntegerField(default=0)
    #: The workspace they work in where a request names none; others cannot move it.
    #: None: they never had one, and the first that takes them in becomes it; empty: they lost it.
    home = pw.TextField(null=True)
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "account"


class IdentityRow(Row):
    """What an OpenID provider calls an account."""

    issuer = pw.TextField()
    subject = pw.TextField()
    account_id = pw.TextField(index=True)
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "account_identity"
        primary_key = pw.CompositeKey("issuer", "subject")


class WorkspaceRow(Row):
    """A room of its own for bots, secrets and people; all other rows name it by ``name``."""

    name = pw.TextField(primary_key=True)
    title = pw.TextField(default="")
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "workspace"


class MemberRow(Row):
    """An account in a workspace."""

    workspace = pw.TextField()
    account_id = pw.TextField(index=True)
    #: ``admin user viewer api_user``.
    role = pw.TextField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "member"
        primary_key = pw.CompositeKey("workspace", "account_id")


class SessionRow(Row):
    """A sign-in, and with it the family of all refresh tokens that came of it."""

    id = pw.TextField(primary_key=True)
    account_id = pw.TextField(index=True)
    #: How it was signed in: ``password`` or ``oidc``.
    method = pw.TextField()
    #: What the program called itself, and from where it came.
    client = pw.TextField(default="")
    address = pw.TextField(default="")
    created_at = pw.BigIntegerField()
    #: When it was last given a token.
    seen_at = pw.BigIntegerField()
    #: Refreshing does not move it.
    expires_at = pw.BigIntegerField()
    revoked_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "session"


class RefreshTokenRow(Row):
    """A refresh token; it is good for one use."""

    #: SHA-256 of the token.
    digest = pw.TextField(primary_key=True)
    session_id = pw.TextField(index=True)
    #: The token that was given up for it.
    parent = pw.TextField(null=True)
    created_at = pw.BigIntegerField()
    used_at = pw.BigIntegerField(null=True)
    #: SHA-256 of the client and address that used it.
    used_by = pw.TextField(null=True)

    class Meta:
        table_name = "refresh_token"


class OneTimeTokenRow(Row):
    """A code that lets somebody set a password, once."""

    #: SHA-256 of the code.
    digest = pw.TextField(primary_key=True)
    account_id = pw.TextField(index=True)
    #: ``mail`` (it proves the address), or ``hand`` where an operator hands it over.
    purpose = pw.TextField()
    created_at = pw.BigIntegerField()
    expires_at = pw.BigIntegerField()
    used_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "one_time_token"


class ApiKeyRow(Row):
    """A program's key to one workspace."""

    id = pw.TextField(primary_key=True)
    #: The part of the key that may be shown.
    prefix = pw.TextField(unique=True)
    #: SHA-256 of the secret part.
    digest = pw.TextField()
    workspace = pw.TextField()
    #: Whose rights bound it, now and later.
    account_id = pw.TextField(index=True)
    name = pw.TextField()
    #: Permissions, as a JSON list.
    scopes = pw.TextField()
    created_at = pw.BigIntegerField()
    expires_at = pw.BigIntegerField()
    #: To about a minute.
    last_used_at = pw.BigIntegerField(null=True)
    revoked_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "api_key"
        indexes = ((("workspace", "id"), False),)


class SignInCountRow(Row):
    """How often somebody failed to sign in lately."""

    #: SHA-256 of the account as it was typed with the network, or of the network alone.
    digest = pw.TextField(primary_key=True)
    failures = pw.IntegerField()
    at = pw.BigIntegerField(index=True)
    #: Until when nothing is even looked at.
    blocked_until = pw.BigIntegerField()

    class Meta:
        table_name = "sign_in_count"


class OidcFlowRow(Row):
    """A sign-in at a provider that has begun; it is good for one return."""

    #: SHA-256 of the state.
    digest = pw.TextField(primary_key=True)
    #: SHA-256 of what the browser that began it holds.
    browser = pw.TextField()
    nonce = pw.TextField()
    verifier = pw.TextField()
    expires_at = pw.BigIntegerField(index=True)

    class Meta:
        table_name = "oidc_flow"


ACCOUNT_ROWS: tuple[type[Row], ...] = (
    AccountRow,
    IdentityRow,
    WorkspaceRow,
    MemberRow,
    SessionRow,
    RefreshTokenRow,
    OneTimeTokenRow,
    ApiKeyRow,
    SignInCountRow,
    OidcFlowRow,
)
