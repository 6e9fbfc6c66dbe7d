"""From ``provider:model`` to who is asked, with whose key, and at what price."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from codex32.kernel.components import Components
from codex32.kernel.contracts.embedder import Embedder
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.llm import LLMProvider, ModelInfo
from codex32.kernel.errors import CapabilityRefused, StepFault
from codex32.kernel.model_errors import PriceUnknown
from codex32.kernel.text import did_you_mean
from codex32.services.ai.breakers import Deployment
from codex32.services.ai.prices import Prices, Tariff

#: The value of a workspace's secret, by both names.
SecretOf = Callable[[str, str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Named:
    """A model of a chain.

    Attributes:
      name: ``provider:model``.
      model: Without the provider.
      info: What its provider knows of it.
    """

    name: str
    provider: LLMProvider
    model: str
    info: ModelInfo | None


@dataclass(frozen=True, slots=True)
class Target(Named):
    """A model that may be asked."""

    tariff: Tariff
    key: str | None

    @property
    def deployment(self) -> Deployment:
        """What its breaker belongs to."""
        return Deployment(self.provider.name, self.provider.endpoint, self.model, self.key)


@dataclass(frozen=True, slots=True)
class EmbedderTarget:
    """An embedder that may be asked."""

    name: str
    embedder: Embedder
    tariff: Tariff
    key: str | None

    @property
    def deployment(self) -> Deployment:
        """What its breaker belongs to."""
        return Deployment(self.name, self.embedder.endpoint, self.name, self.key)


class Targets:
    """Finds them, and refuses what a caller may not use."""

    def __init__(self, components: Components, prices: Prices, secret: SecretOf) -> None:
        self._components, self._prices, self._secret = components, prices, secret
        self._tariffs: dict[str, Tariff] = {}

    def named(self, caller: ModelCaller, name: str) -> Named:
        """The model of a name that the caller may use; asks nobody.

        Raises:
          CapabilityRefused: ``allow.models`` does not name it.
          ComponentNotFound: No such provider is installed.
          StepFault: It is no name of a model.
        """
        provider, colon, model = name.partition(":")
        if not colon or not model:
            raise StepFault(
                f"{name!r} is no model: write provider:model" + did_you_mean(name, self._known()),
                code="model-unknown",
            )
        self._permit(caller, name)
        found = self._components.llm_provider(provider)
        info = next((each for each in found.models() if each.name == model), None)
        return Named(name, found, model, info)

    async def ready(self, caller: ModelCaller, named: Named) -> Target:
        """A model, ready to be asked.

        Raises:
          PriceUnknown: Nobody knows what it costs.
        """
        provider, info = named.provider, named.info
        free = provider.free or (info is not None and info.free)
        tariff = await self._tariff(named.name, provider.price_list, free)
        key = await self._key(caller, provider.secret)
        return Target(named.name, provider, named.model, info, tariff, key)

    async def find_embedder(self, caller: ModelCaller, name: str) -> EmbedderTarget:
        """The embedder of a name, ready to be asked."""
        embedder = self._components.embedder(name)
        if not embedder.free:
            self._permit(caller, name)
        tariff = await self._tariff(name, embedder.price_list, embedder.free)
        return EmbedderTarget(name, embedder, tariff, await self._key(caller, embedder.secret))

    async def _tariff(self, name: str, price_list: str | None, free: bool) -> Tariff:
        if name not in self._tariffs:
            # Lists of prices are read from files.
            found = await asyncio.to_thread(
                self._prices.of, name, price_list=price_list, free=free
            )
            if found is None:
                raise PriceUnknown(name)
            self._tariffs[name] = found
        return self._tariffs[name]

    def _permit(self, caller: ModelCaller, name: str) -> None:
        if caller.models is None:
            return
        if not any(fnmatchcase(name, pattern) for pattern in caller.models):
            raise CapabilityRefused("models", name)

    async def _key(self, caller: ModelCaller, secret: str | None) -> str | None:
        return None if secret is None else await self._secret(caller.workspace, secret)

    def _known(self) -> list[str]:
        providers: Mapping[str, LLMProvider] = self._components.llm_providers
        return [f"{p.name}:{info.name}" for p in providers.values() for info in p.models()]
