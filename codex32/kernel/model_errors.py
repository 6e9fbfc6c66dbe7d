"""What goes wrong between a step and a model.

::

    ProviderError ── ModelFault (kind, status, billed)
    StepFault     ── BudgetExceeded (scope, limit_nano_usd) · PriceUnknown (model)
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from codex32.kernel.errors import ProviderError, StepFault

#: Why a call of a model failed; what follows from each is in ``services/ai/verdicts.py``.
#:
#: ``rate_limited``
#:     Too many calls just now.
#: ``quota``
#:     The account is out of money, or over a limit of spending.
#: ``auth``
#:     The key is wrong, missing, or not permitted.
#: ``model_gone``
#:     The service has no such model.
#: ``server``
#:     The service failed, or is overloaded.
#: ``network``
#:     No connection, or one that was cut.
#: ``timeout``
#:     No whole answer in time.
#: ``malformed``
#:     An answer that is none: torn JSON, a page of HTML, no choices, a stream without an end.
#: ``truncated``
#:     The answer was cut at a limit of tokens.
#: ``refused``
#:     The model, or a filter, would not answer.
#: ``context_too_long``
#:     The prompt does not fit the model.
#: ``unsupported``
#:     The model cannot do what was asked in this way: a schema, tools, a parameter.
#: ``bad_request``
#:     The service takes the request for wrong.
#: ``invalid``
#:     The answer does not fit its schema, also after repairs.
#: ``unavailable``
#:     Every model that might be asked is given time to recover.
FaultKind: TypeAlias = Literal[
    "rate_limited",
    "quota",
    "auth",
    "model_gone",
    "server",
    "network",
    "timeout",
    "malformed",
    "truncated",
    "refused",
    "context_too_long",
    "unsupported",
    "bad_request",
    "invalid",
    "unavailable",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
#: Whether the service will want money for the failed call.
Billed: TypeAlias = Literal["no", "maybe", "yes"]

_PASSING = frozenset(
    {"rate_limited", "server", "network", "timeout", "malformed", "unavailable", "invalid"}
)


class ModelFault(ProviderError):
    """A call of a model failed; ``kind`` says how."""

    code = "model"

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        billed: Billed = "no",
    ) -> None:
        super().__init__(
            message,
            retryable=kind in _PASSING,
            retry_after_seconds=retry_after_seconds,
            code=f"model-{kind.replace('_', '-')}",
        )
        self.kind, self.status, self.billed = kind, status, billed


class BudgetExceeded(StepFault):
    """A call of a model would cost more than is left; nothing was sent."""

    code = "budget"

    def __init__(self, message: str, *, scope: str, limit_nano_usd: int) -> None:
        super().__init__(message)
        self.scope, self.limit_nano_usd = scope, limit_nano_usd


class PriceUnknown(StepFault):
    """Nobody knows what a model costs, so that no budget could hold; nothing was sent."""

    code = "price-unknown"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"no price of {model} is known, so it is not called; name it in the setting "
            "ai.prices, or say there what unknown prices mean: ai.unknown_price"
        )
        self.model = model
