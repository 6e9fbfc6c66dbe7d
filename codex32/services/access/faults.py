"""What goes wrong with accounts, workspaces, sign-ins and keys."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.errors import Codex32Error
from codex32.kernel.problems import Problem


class CredentialsInvalid(Codex32Error):
    """What was sent to sign in, or to stay signed in, does not let anybody in.

    One message for all reasons: a stranger learns nothing of which accounts there are.
    """

    code = "credentials-invalid"


class TooManyTries(Codex32Error):
    """Signing in failed so often that nothing is looked at for a while."""

    code = "too-many-tries"

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"too many failed tries; try again in {retry_after_seconds:.0f} s")
        self.retry_after_seconds = retry_after_seconds


class GrantNotOffered(Codex32Error):
    """This way to sign in is switched off, or there is none of this name."""

    code = "grant-not-offered"


class ProviderFailed(Codex32Error):
    """The OpenID provider is not reached, or does not do what it must."""

    code = "oidc-failed"


class ProviderRefused(Codex32Error):
    """The OpenID provider does not vouch for somebody, or they may not sign in here."""

    code = "oidc-refused"


class CodeInvalid(Codex32Error):
    """The one-time code is unknown, used or too old; which of them is not told."""

    code = "code-invalid"

    def __init__(self) -> None:
        super().__init__("this code is not, or no longer, good; ask for a new one")


class PasswordRefused(Codex32Error):
    """A password that is easily guessed; the problems say why."""

    code = "password-refused"

    def __init__(self, problems: Sequence[Problem]) -> None:
        listed = "; ".join(problem.message for problem in problems)
        super().__init__(f"choose another password: it {listed}")
        self.problems = tuple(problems)


class PasswordWrong(Codex32Error):
    """Somebody who is signed in does not know the password that goes with it."""

    code = "password-wrong"


class AccountNotFound(Codex32Error):
    """No account has this name, address or id."""

    code = "account-not-found"

    def __init__(self, asked: str) -> None:
        super().__init__(f"no account is called {asked!r}")
        self.asked = asked


class AccountTaken(Codex32Error):
    """Another account has this address or username."""

    code = "account-taken"

    def __init__(self, what: str) -> None:
        super().__init__(f"another account has this {what}; choose another one")
        self.what = what


class LastAdministrator(Codex32Error):
    """The only administrator cannot be disabled, deleted or made something else."""

    code = "last-administrator"

    def __init__(self, who: str) -> None:
        super().__init__(f"{who} is the only administrator; make somebody else one first")


class WorkspaceNotFound(Codex32Error):
    """There is no workspace of this name that the caller could see."""

    code = "workspace-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(f"no workspace is called {name!r}")
        self.name = name


class WorkspaceMissing(Codex32Error):
    """The caller names no workspace, and has no home among those they belong to."""

    code = "workspace-missing"

    def __init__(self) -> None:
        super().__init__("name a workspace with the header X-Workspace, or make one your home")


class WorkspaceTaken(Codex32Error):
    """Another workspace has this name."""

    code = "workspace-taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a workspace {name!r} already")


class WorkspaceInUse(Codex32Error):
    """A workspace that cannot be deleted, for it holds something."""

    code = "workspace-in-use"


class MemberNotFound(Codex32Error):
    """The account is no member of the workspace."""

    code = "member-not-found"

    def __init__(self, who: str, workspace: str) -> None:
        super().__init__(f"{who!r} is no member of {workspace}")


class SessionNotFound(Codex32Error):
    """The account has no sign-in with this id."""

    code = "session-not-found"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no sign-in has the id {session_id!r}")


class KeyNotFound(Codex32Error):
    """No API key has this id."""

    code = "key-not-found"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no API key has the id {key_id!r}")


class ScopesRefused(Codex32Error):
    """An API key cannot be given what its owner does not have, or what no key may have."""

    code = "scopes-refused"
