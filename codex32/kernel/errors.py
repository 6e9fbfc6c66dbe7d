"""Every error of the house, each with a stable code.

::

    Codex32Error
    ├── PluginError (plugin)          PluginLoadError · PluginContractError
    ├── ComponentNotFound (kind, name, known)
    ├── WithProblems (problems)        BotInvalid · TriggerInvalid · InputsInvalid · FormInvalid …
    ├── BotNotFound · VersionNotFound (version) · BotInvalid (problems)
    ├── BotReadOnly (source) · BotDisabled (reason) · BotExists · StateNotFound (key)
    ├── TriggerInvalid (problems)
    ├── InputsInvalid (problems)
    ├── EventInvalid
    ├── ExecutionNotFound · InvalidTransition (was, wanted)
    ├── StepNotFound (step, known) · RetryRefused · EffectsRepeated (problems)
    ├── BackfillRefused
    ├── ApprovalNotFound · ApprovalSettled (status) · FormInvalid (problems)
    ├── StepFault (retryable, retry_after_seconds)
    │   ├── ExpressionFault · CapabilityRefused (power, name) · EffectUnknown
    │   └── ProviderError
    │       ├── ProviderUnavailable · ProviderRateLimited
    │       └── ProviderRejected · ProviderUnauthorized
    ├── CollectionNotFound · DimensionMismatch … (vector_errors)
    ├── SecretNotFound (reference) · ConnectionNotFound (name)
    ├── SchemaOutOfDate (pending)
    ├── IdempotencyConflict · StreamsFull
    ├── FolderHeld (holder)
    └── AccessDenied (scope)

An error's message names the culprit and the remedy. Errors carry plain data, so that they
survive pickling and say the same to a person, to the API and to the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean, file_told


class Codex32Error(Exception):
    """The root of the tree."""

    #: Stable, printed by the API and the command line.
    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.__dict__))


def _rebuild(kind: type[Codex32Error], attributes: dict[str, Any]) -> Codex32Error:
    error = kind.__new__(kind)
    error.__dict__.update(attributes)
    error.args = (attributes.get("message", ""),)
    return error


class PluginError(Codex32Error):
    """Something is wrong with an installed plugin."""

    code = "plugin"

    def __init__(self, message: str, *, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class PluginLoadError(PluginError):
    """A plugin could not be imported."""

    code = "plugin-load"


class PluginContractError(PluginError):
    """A plugin offered something that does not keep its contract."""

    code = "plugin-contract"


class ComponentNotFound(Codex32Error):
    """No installed plugin offers what was asked for."""

    code = "component-not-found"

    def __init__(self, kind: str, name: str, known: Iterable[str], why: str = "") -> None:
        names = sorted(known)
        super().__init__(
            f"no {kind} is called {name!r}{f'; {why}' if why else did_you_mean(name, names)}; "
            f"installed: {', '.join(names) or 'none'}"
        )
        self.kind, self.name, self.known = kind, name, names


class BotNotFound(Codex32Error):
    """No bot has this name."""

    code = "bot-not-found"

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(f"no bot is called {name!r}{did_you_mean(name, known)}")
        self.name = name


class VersionNotFound(Codex32Error):
    """A bot has no version of this number or id."""

    code = "version-not-found"

    def __init__(self, version: str, known: Iterable[str] = ()) -> None:
        there = ", ".join(known)
        super().__init__(
            f"there is no version {version}" + (f"; there are: {there}" if there else "")
        )
        self.version = version


class WithProblems(Codex32Error):
    """What has faults that a person can mend; all of them are in ``problems``."""

    code = "problems"

    def __init__(self, message: str, problems: Sequence[Problem]) -> None:
        listed = "\n".join(str(problem) for problem in problems)
        super().__init__(f"{message}\n{listed}" if listed else message)
        self.problems = tuple(problems)


class BotInvalid(WithProblems):
    """A bot's definition has faults; all of them are in ``problems``."""

    code = "bot-invalid"


class TriggerInvalid(WithProblems):
    """A trigger's configuration has faults."""

    code = "trigger-invalid"


class InputsInvalid(WithProblems):
    """The inputs of an execution do not fit what the bot declares."""

    code = "inputs-invalid"


class EventInvalid(Codex32Error):
    """An event that nobody may publish: its name, or its data, cannot be taken."""

    code = "event-invalid"


class BotReadOnly(Codex32Error):
    """A bot that belongs to a file is changed in that file."""

    code = "bot-read-only"

    def __init__(self, name: str, source: str | None) -> None:
        super().__init__(f"{name} belongs to the file {file_told(source)}; change it there")
        self.name, self.source = name, source


class BotExists(Codex32Error):
    """A bot of this name is there already."""

    code = "bot-exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"a bot {name!r} is there already; replace it, or choose another name")
        self.name = name


class StateNotFound(Codex32Error):
    """A bot remembers nothing under this key."""

    code = "state-not-found"

    def __init__(self, bot: str, key: str) -> None:
        super().__init__(f"{bot} remembers nothing under the key {key!r}")
        self.bot, self.key = bot, key


class BotDisabled(Codex32Error):
    """A bot that is there, but not to be executed."""

    code = "bot-disabled"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is disabled: {reason}")
        self.name, self.reason = name, reason


class ExecutionNotFound(Codex32Error):
    """No execution has this id."""

    code = "execution-not-found"

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"no execution has the id {execution_id!r}")
        self.execution_id = execution_id


class InvalidTransition(Codex32Error):
    """What was asked cannot happen to an execution in this status."""

    code = "invalid-transition"

    def __init__(self, subject: str, was: str, wanted: str) -> None:
        super().__init__(f"{subject} is {was} and cannot become {wanted}")
        self.subject, self.was, self.wanted = subject, was, wanted


class StepNotFound(Codex32Error):
    """A version of a bot has no step of this id."""

    code = "step-not-found"

    def __init__(self, bot: str, step: str, known: Iterable[str]) -> None:
        names = list(known)
        super().__init__(
            f"{bot} has no step {step!r}{did_you_mean(step, names)}; it has: {', '.join(names)}"
        )
        self.bot, self.step, self.known = bot, step, names


class RetryRefused(Codex32Error):
    """An execution is in no state to be retried; the message says what to do first."""

    code = "retry-refused"


class IdempotencyConflict(Codex32Error):
    """Under this idempotency key something else was asked for before."""

    code = "idempotency-conflict"


class EffectsRepeated(WithProblems):
    """A retry would send effects once more; somebody has to say that this is meant."""

    code = "effects-repeated"


class BackfillRefused(Codex32Error):
    """A schedule cannot be filled up as asked; the message says what would be possible."""

    code = "backfill-refused"


class ApprovalNotFound(Codex32Error):
    """No approval has this id, or several could be meant."""

    code = "approval-not-found"

    def __init__(self, asked: str, candidates: Sequence[str] = ()) -> None:
        if candidates:
            told = f"{asked!r} may mean each of {', '.join(candidates)}; write more of the id"
        else:
            told = f"no approval has the id {asked!r}; see: codex32 approvals list"
        super().__init__(told)
        self.asked, self.candidates = asked, tuple(candidates)


class ApprovalSettled(Codex32Error):
    """An approval that can no longer be decided; the first decision counts."""

    code = "approval-settled"

    def __init__(self, approval_id: str, status: str, how: str) -> None:
        super().__init__(f"{approval_id} cannot be decided any more: {how}")
        self.approval_id, self.status = approval_id, status


class FormInvalid(WithProblems):
    """What was filled in does not fit the approval's form."""

    code = "form-invalid"


class StepFault(Codex32Error):
    """A step could not be done.

    Raised by bot types, or by what they call through their context. ``retryable`` says whether
    trying again can help; ``retry_after_seconds`` when the other side said how long to wait.
    """

    code = "step-failed"
    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after_seconds: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.retry_after_seconds = retry_after_seconds
        self.fault_code = code or self.code


class ExpressionFault(StepFault):
    """An expression could not be evaluated with the data that was there."""

    code = "expression"


class CapabilityRefused(StepFault):
    """The bot's ``allow`` does not name what the step tried to use."""

    code = "capability"

    def __init__(self, power: str, name: str, remedy: str | None = None) -> None:
        super().__init__(remedy or f"{name} is not in allow.{power}; add it there to permit it")
        self.power, self.name = power, name


class EffectUnknown(StepFault):
    """An effect was begun, and whether it happened cannot be told; it must not be repeated."""

    code = "effect-unknown"


class ProviderError(StepFault):
    """A service outside answered with a fault."""

    code = "provider"


class ProviderUnavailable(ProviderError):
    """The service could not be reached or was not able to answer; trying again can help."""

    code = "provider-unavailable"
    retryable_by_default = True


class ProviderRateLimited(ProviderError):
    """The service asks for patience; see ``retry_after_seconds``."""

    code = "provider-rate-limited"
    retryable_by_default = True


class ProviderRejected(ProviderError):
    """The service refused the request; it is never worth repeating unchanged."""

    code = "provider-rejected"


class ProviderUnauthorized(ProviderError):
    """The service does not accept the credentials."""

    code = "provider-unauthorized"


class SecretNotFound(Codex32Error):
    """No secret store knows this reference."""

    code = "secret-not-found"

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"no secret is called {reference!r}; set it with: codex32 secrets set {reference}; "
            f"or, for the whole installation, in CODEX32_SECRET_{reference}"
        )
        self.reference = reference


class ConnectionNotFound(Codex32Error):
    """The workspace has no connection of this name."""

    code = "connection-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(f"no connection is called {name!r}; see: codex32 connections list")
        self.name = name


class SchemaOutOfDate(Codex32Error):
    """The database lacks migrations that this code needs."""

    code = "schema-out-of-date"

    def __init__(self, pending: Sequence[str]) -> None:
        super().__init__(
            f"the database lacks {len(pending)} migration(s): {', '.join(pending)}; "
            "run: codex32 db upgrade"
        )
        self.pending = tuple(pending)


class StreamsFull(Codex32Error):
    """This process serves as many streams as it may, or as many as one account may have."""

    code = "streams-full"


class FolderHeld(Codex32Error):
    """Another process already runs this project folder."""

    code = "folder-held"

    def __init__(self, holder: str) -> None:
        super().__init__(f"this folder is already run by {holder}")
        self.holder = holder


class AccessDenied(Codex32Error):
    """The caller may not do this."""

    code = "access-denied"

    def __init__(self, scope: str) -> None:
        super().__init__(f"this needs the permission {scope}")
        self.scope = scope
