"""The models that may be asked for."""

from __future__ import annotations

import asyncio
from datetime import date

from pydantic import Field

from codex32.api.models import Out
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.ai import catalogue


class ModelOut(Out):
    """A model that an installed provider knows of."""

    model: str = Field(description="As bots name it: `provider:model`.")
    context_tokens: int | None
    output_tokens: int | None
    capabilities: list[str] | None = Field(description="Null where nobody knows before asking.")
    retires_on: date | None
    input_usd: float | None = Field(description="A million tokens; null where nobody knows.")
    output_usd: float | None
    price: str | None = Field(description="Where the price comes from; null: not called.")


class ModelsOut(Out):
    """Models, by provider; others may be asked by their names, if their price is known."""

    items: list[ModelOut]


class ModelRoutes:
    """``/models``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/models",
                operation="models.list",
                policy="plugins.read",
                handler=self._list,
                summary="Models that installed providers know of, with what they can and cost",
                response=ModelsOut,
            )
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        providers, prices = self._runtime.components.llm_providers, self._runtime.models.prices
        found = await asyncio.to_thread(catalogue.listing, providers, prices)
        return {"items": [each.as_dict() for each in found]}
