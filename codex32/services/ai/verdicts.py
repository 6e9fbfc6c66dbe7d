"""What follows from each way in which a call of a model can fail. Decided here, and only here."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from codex32.kernel.errors import (
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    StepFault,
)
from codex32.kernel.model_errors import Billed, FaultKind, ModelFault

#: The longest that a call waits in place for a service that asks for patience.
PATIENCE_SECONDS = 5.0
_HOUR = 3600.0
#: Of the time of a request, what a provider is given less, and the most of it in seconds.
_LESS_SHARE, _MOST_LESS_SECONDS = 0.05, 0.25


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failure.

    Attributes:
      again: Whether the same model may be asked once more.
      next: Whether the next of the chain is asked.
      rest_seconds: How long the model is left alone at once; None where failures are counted, 0
        where they are not the model's.
      loud: Whether somebody has to do something about it.
    """

    again: bool
    next: bool
    rest_seconds: float | None
    loud: bool = False


VERDICTS: dict[FaultKind, Verdict] = {
    "rate_limited": Verdict(again=True, next=True, rest_seconds=None),
    "quota": Verdict(again=False, next=True, rest_seconds=_HOUR, loud=True),
    "auth": Verdict(again=False, next=True, rest_seconds=_HOUR, loud=True),
    "model_gone": Verdict(again=False, next=True, rest_seconds=_HOUR, loud=True),
    "server": Verdict(again=True, next=True, rest_seconds=None),
    "network": Verdict(again=True, next=True, rest_seconds=None),
    "timeout": Verdict(again=True, next=True, rest_seconds=None),
    "malformed": Verdict(again=True, next=True, rest_seconds=0),
    "truncated": Verdict(again=True, next=True, rest_seconds=0),
    "refused": Verdict(again=False, next=True, rest_seconds=0),
    "context_too_long": Verdict(again=False, next=True, rest_seconds=0),
    "unsupported": Verdict(again=False, next=True, rest_seconds=0),
    "bad_request": Verdict(again=False, next=False, rest_seconds=0),
    "invalid": Verdict(again=False, next=True, rest_seconds=0),
    "unavailable": Verdict(again=False, next=True, rest_seconds=0),
}


def pause_seconds(fault: ModelFault, left_seconds: float) -> float | None:
    """How long to wait before the same model is asked again; None where that is too long."""
    if fault.kind == "rate_limited":
        asked = 0.5 if fault.retry_after_seconds is None else fault.retry_after_seconds
        return asked if asked <= min(PATIENCE_SECONDS, left_seconds) else None
    if fault.kind in ("malformed", "truncated"):
        return 0.0
    pause = max(fault.retry_after_seconds or 0.0, random.uniform(0.1, 0.5))  # noqa: S311
    return pause if pause <= min(PATIENCE_SECONDS, left_seconds) else None


def in_hand(seconds: float) -> float:
    """How long a provider is told that a request may take, which is cut after ``seconds``.

    It is late before it is cut off: it alone knows whether anything was sent that may be billed.
    """
    return seconds - min(seconds * _LESS_SHARE, _MOST_LESS_SECONDS)


def fault_of(error: Exception) -> ModelFault:
    """Any exception of a provider as a fault; what names no kind says little of itself."""
    match error:
        case ModelFault():
            return error
        case TimeoutError():
            return ModelFault("timeout", "no whole answer in time", billed="maybe")
        case ProviderRateLimited():
            return _as("rate_limited", error, "no")
        case ProviderUnauthorized():
            return _as("auth", error, "no")
        case ProviderRejected():
            return _as("bad_request", error, "no")
        case ProviderUnavailable() | ProviderError():
            return _as("server", error, "maybe")
        case ConnectionError() | OSError():
            return ModelFault("network", type(error).__name__, billed="maybe")
    # Its message is a stranger's and may hold a key.
    return ModelFault("malformed", f"the provider raised {type(error).__name__}", billed="maybe")


def _as(kind: FaultKind, error: StepFault, billed: Billed) -> ModelFault:
    after = error.retry_after_seconds
    return ModelFault(kind, error.message, retry_after_seconds=after, billed=billed)


#: What a failed call costs: nothing, or, where the service may count it, what was reserved.
def money(fault: ModelFault) -> Literal["released", "assumed"]:
    """How a call is booked that failed without saying what it used."""
    return "released" if fault.billed == "no" else "assumed"
