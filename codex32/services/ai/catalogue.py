"""The models that installed providers know of, with what they can and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codex32.kernel.contracts.llm import LLMProvider, ModelInfo, Usage
from codex32.kernel.json_values import JSON
from codex32.services.ai.money import usd
from codex32.services.ai.prices import Prices

#: A million tokens at the price of a short prompt: some models are dearer from a length on.
_SHORT_INPUT, _SHORT_OUTPUT, _TIMES = Usage(1000, 0), Usage(0, 1000), 1000


@dataclass(frozen=True, slots=True)
class Listed:
    """One model.

    Attributes:
      name: ``provider:model``.
      input_usd: For a million tokens; None where nobody knows.
      output_usd: Likewise.
      price: Where the price comes from; None where nobody knows it.
    """

    name: str
    info: ModelInfo
    input_usd: float | None
    output_usd: float | None
    price: str | None

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        able = self.info.capabilities
        return {
            "model": self.name,
            "context_tokens": self.info.context_tokens,
            "output_tokens": self.info.output_tokens,
            "capabilities": None if able is None else sorted(able),
            "retires_on": self.info.retires_on,
            "input_usd": self.input_usd,
            "output_usd": self.output_usd,
            "price": self.price,
        }


def listing(providers: Mapping[str, LLMProvider], prices: Prices) -> list[Listed]:
    """All of them, by provider; reads lists of prices from files."""
    return [
        _listed(provider, info, prices)
        for provider in providers.values()
        for info in provider.models()
    ]


def _listed(provider: LLMProvider, info: ModelInfo, prices: Prices) -> Listed:
    name = f"{provider.name}:{info.name}"
    tariff = prices.of(name, price_list=provider.price_list, free=provider.free or info.free)
    if tariff is None:
        return Listed(name, info, None, None, None)
    return Listed(
        name,
        info,
        usd(tariff.cost(_SHORT_INPUT) * _TIMES),
        usd(tariff.cost(_SHORT_OUTPUT) * _TIMES),
        tariff.source,
    )
