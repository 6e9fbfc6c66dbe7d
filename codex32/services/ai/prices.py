"""What a call costs: the operator's own prices, then a public list, and else nobody knows.

A price that is not known is never zero. Tokens are counted as :class:`Usage` has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal, Protocol

from codex32.kernel.contracts.llm import CompletionRequest, Usage
from codex32.services.ai.money import NANO

#: Tokens that a message, a tool and a picture take at most beside their text.
_MESSAGE_TOKENS, _TOOL_TOKENS, _IMAGE_TOKENS = 16, 64, 4000
#: Bytes in a token, at least, in what people write; in what is written to break this, one.
TOKEN_BYTES = 2
_MILLION = 1_000_000
_MANY = Usage(_MILLION, _MILLION)
#: How services end the names of models that cost nothing.
_FREE_NAME = ":free"


class Tariff(Protocol):
    """The price of one model."""

    @property
    def source(self) -> str:
        """Where it comes from: ``settings``, ``genai-prices 0.2.3``, ``free``, ``worst case``."""
        ...

    def cost(self, usage: Usage) -> int:
        """What that many tokens cost (nano-USD), rounded up."""
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, as an operator writes them; None: as input."""

    input_usd: Decimal
    output_usd: Decimal = Decimal(0)
    cached_input_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    source: str = "settings"

    def cost(self, usage: Usage) -> int:
        """What that many tokens cost."""
        plain = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
        cached = self.input_usd if self.cached_input_usd is None else self.cached_input_usd
        write = self.input_usd if self.cache_write_usd is None else self.cache_write_usd
        dollars = (
            plain * self.input_usd
            + usage.cached_input_tokens * cached
            + usage.cache_write_tokens * write
            + usage.output_tokens * self.output_usd
        ) / _MILLION
        return _nano(dollars)


FREE = Price(Decimal(0), source="free")


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A price of the public list."""

    provider: str
    model: str
    source: str

    def cost(self, usage: Usage) -> int:
        """What that many tokens cost, today's tiers and times of day included."""
        dollars = _from_list(self.provider, self.model, usage)
        assert dollars is not None
        return _nano(dollars)


class Prices:
    """Finds prices.

    Args:
      own: ``provider:model``, or a pattern of such names, to an operator's price; the first that
        fits wins, an exact name before all patterns.
      unknown: What a price means that nobody knows.
    """

    def __init__(
        self,
        own: Mapping[str, Price] = {},
        unknown: Literal["refuse", "worst_case"] = "refuse",
    ) -> None:
        self._own, self._unknown = own, unknown

    def of(self, model: str, *, price_list: str | None, free: bool) -> Tariff | None:
        """The price of ``provider:model``; None where nobody knows it.

        Args:
          model: What was asked for.
          price_list: The provider's name in the public list; an empty text where it has none.
          free: The provider says that nobody bills for it.
        """
        if (mine := self._mine(model)) is not None:
            return mine
        if free:
            return FREE
        provider, _, name = model.partition(":")
        if price_list is None:
            price_list = provider
        if price_list and (found := _listed(price_list, name)) is not None:
            return found
        return _worst() if self._unknown == "worst_case" else None

    def _mine(self, model: str) -> Price | None:
        if model in self._own:
            return self._own[model]
        fits = (price for name, price in self._own.items() if fnmatchcase(model, name))
        return next(fits, None)


def most_tokens(request: CompletionRequest) -> int:
    """The most tokens that the prompt of a request can have."""
    from codex32.kernel.json_values import dumps

    size = sum(len(text.encode()) for text in _texts(request))
    tokens = math.ceil(size / TOKEN_BYTES)
    for message in request.messages:
        tokens += _MESSAGE_TOKENS + _IMAGE_TOKENS * len(message.images)
        tokens += sum(len(dumps(dict(c.arguments))) // 2 + 32 for c in message.tool_calls)
    for tool in request.tools:
        tokens += _TOOL_TOKENS + len(dumps(dict(tool.schema))) + len(tool.description.encode())
    if request.schema is not None:
        tokens += _TOOL_TOKENS + len(dumps(dict(request.schema)))
    return tokens


def _texts(request: CompletionRequest) -> list[str]:
    return [message.text for message in request.messages]


def _nano(dollars: Decimal) -> int:
    return int((dollars * NANO).to_integral_value(ROUND_CEILING))


@cache
def _library() -> Any:
    try:
        import genai_prices
    except ImportError:
        return None
    return genai_prices


@cache
def _listed(provider: str, model: str) -> ListPrice | None:
    dollars = None if _library() is None else _from_list(provider, model, _MANY)
    # What is sold by the hour or the page, and what the list only names, has no price of tokens
    # there; nothing for them is a price where the service says so itself.
    if dollars is None or (not dollars and not model.endswith(_FREE_NAME)):
        return None
    from importlib.metadata import version

    return ListPrice(provider, model, f"genai-prices {version('genai-prices')}")


def _from_list(provider: str, model: str, usage: Usage) -> Decimal | None:
    library = _library()
    try:
        calculated = library.calc_price(
            library.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cached_input_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            model_ref=model,
            provider_id=provider,
        )
    except LookupError:
        return None
    price: Decimal = calculated.total_price
    return price


def context_tokens(provider: str, model: str) -> int | None:
    """How much a model of the public list takes; None where it does not say."""
    if _library() is None:
        return None
    try:
        found = _library().calc_price(
            _library().Usage(input_tokens=1, output_tokens=1),
            model_ref=model,
            provider_id=provider,
        )
    except LookupError:
        return None
    window: int | None = found.model.context_window
    return window


@cache
def _worst() -> Price:
    """The dearest of what is usual, for models whose price nobody knows."""
    return Price(Decimal(30), Decimal(180), source="worst case")
