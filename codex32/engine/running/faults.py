"""From exceptions to outcomes: what a fault means for the step that met it."""

from __future__ import annotations

import logging
import random
import traceback

from codex32.kernel.bot import Retry
from codex32.kernel.errors import (
    BotDisabled,
    BotNotFound,
    CapabilityRefused,
    Codex32Error,
    ComponentNotFound,
    ConnectionNotFound,
    EffectUnknown,
    InputsInvalid,
    SecretNotFound,
    StepFault,
)
from codex32.kernel.json_values import JSON
from codex32.kernel.model_errors import BudgetExceeded, PriceUnknown
from codex32.kernel.outcomes import Failed
from codex32.kernel.statuses import Cause

log = logging.getLogger(__name__)

#: The code of a fault in the bot type itself, and not in what it was asked to do.
BROKEN = "bot-type-raised"
#: The code of a try that took too long.
TIMED_OUT = "timeout"
_CAUSES = {
    CapabilityRefused.code: Cause.CAPABILITY,
    SecretNotFound.code: Cause.CAPABILITY,
    BudgetExceeded.code: Cause.BUDGET,
    PriceUnknown.code: Cause.BUDGET,
    EffectUnknown.code: Cause.EFFECT,
    TIMED_OUT: Cause.TIMEOUT,
    BotDisabled.code: Cause.INVALID,
    BotNotFound.code: Cause.INVALID,
    ComponentNotFound.code: Cause.INVALID,
    ConnectionNotFound.code: Cause.INVALID,
    InputsInvalid.code: Cause.INVALID,
}


def as_failed(error: Exception) -> Failed:
    """What a raised error means. One that is no fault of ours is a bug in the bot type."""
    if isinstance(error, CapabilityRefused):
        return Failed(error.message, code=error.code, cause=Cause.CAPABILITY)
    if isinstance(error, EffectUnknown):
        return Failed(error.message, unknown=True, code=error.code, cause=Cause.EFFECT)
    if isinstance(error, BudgetExceeded | PriceUnknown):
        return Failed(error.message, code=error.code, cause=Cause.BUDGET)
    if isinstance(error, StepFault):
        return Failed(
            error.message,
            retryable=error.retryable,
            retry_after_seconds=error.retry_after_seconds,
            code=error.fault_code,
        )
    if isinstance(error, SecretNotFound):
        return Failed(error.message, code=error.code, cause=Cause.CAPABILITY)
    if isinstance(error, Codex32Error):
        return Failed(error.message, code=error.code, cause=Cause.INVALID)
    # Where, but not with what: the message may hold a secret, and this goes to the process's log.
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    log.error("a bot type raised %s, unnamed by its contract\n%s", type(error).__name__, frames)
    return Failed(f"{type(error).__name__}: {error}", code=BROKEN)


def cause_of(code: str, step_type: str) -> Cause:
    """What an execution fails of whose step of this type failed with this code."""
    # A child's own cause is the code then; that it failed is no more than an error here.
    of_child = step_type == "bot" and code in frozenset(Cause)
    return Cause.ERROR if of_child else _CAUSES.get(code, Cause.ERROR)


def as_json(outcome: Failed) -> dict[str, JSON]:
    """The error as rows and expressions hold it."""
    error: dict[str, JSON] = {"message": outcome.message, "code": outcome.code}
    if outcome.retryable:
        error["retryable"] = True
    if outcome.detail is not None:
        error["detail"] = outcome.detail
    return error


#: The longest pause that another side may ask for.
LONGEST_ASKED_SECONDS = 30 * 86_400.0


def retry_delay(retry: Retry, tries: int, outcome: Failed) -> float:
    """Seconds until the next try: exponential, capped, less up to a quarter of jitter.

    What the other side asked for is kept, even where it is longer than the cap, up to 30 days:
    what it says is its own, and no execution waits for ever because of it.
    """
    grown = retry.first_seconds * retry.factor ** min(tries - 1, 64)
    jittered = min(grown, retry.max_seconds) * random.uniform(0.75, 1.0)  # noqa: S311
    asked = min(outcome.retry_after_seconds or 0.0, LONGEST_ASKED_SECONDS)
    return max(jittered, asked)


def timed_out(limit_seconds: float) -> Failed:
    """A try that took longer than its step's limit."""
    return Failed(
        f"the step took longer than its limit of {limit_seconds:g} s",
        retryable=True,
        code=TIMED_OUT,
        cause=Cause.TIMEOUT,
    )
