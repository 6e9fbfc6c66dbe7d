"""What is installed: every component the plugins offer, by kind and name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.contracts.dispatcher import Dispatcher
from codex32.kernel.contracts.embedder import Embedder
from codex32.kernel.contracts.llm import LLMProvider
from codex32.kernel.contracts.notifier import Notifier
from codex32.kernel.contracts.sandbox import SandboxBackend
from codex32.kernel.contracts.secret_store import SecretStore
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.contracts.vector_store import VectorStore
from codex32.kernel.errors import ComponentNotFound

_Component = TypeVar("_Component")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of component.

    Attributes:
      key: The field of :class:`Components`; the hook is ``register_<key>``.
      word: What people call one of them.
      contract: The abstract class each one implements.
      label: The attribute that holds a component's name.
    """

    key: str
    word: str
    contract: type[Any]
    label: str = "name"

    @property
    def hook(self) -> str:
        """The hook through which plugins offer components of this kind."""
        return f"register_{self.key}"


KINDS = (
    Kind("bot_types", "bot type", BotType),
    Kind("trigger_types", "trigger type", TriggerType),
    Kind("notifiers", "notifier", Notifier),
    Kind("llm_providers", "LLM provider", LLMProvider),
    Kind("embedders", "embedder", Embedder),
    Kind("vector_stores", "vector store", VectorStore),
    Kind("dispatchers", "dispatcher", Dispatcher),
    Kind("secret_stores", "secret store", SecretStore, label="scheme"),
    Kind("sandboxes", "sandbox", SandboxBackend),
)


@dataclass(frozen=True, slots=True)
class Components:
    """The components of a process, by name; immutable. Secret stores go by their scheme.

    Attributes:
      absent: Why one is not there that a plugin would offer, by the kind's word and the name.
    """

    bot_types: Mapping[str, BotType] = field(default_factory=dict)
    trigger_types: Mapping[str, TriggerType] = field(default_factory=dict)
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)
    llm_providers: Mapping[str, LLMProvider] = field(default_factory=dict)
    embedders: Mapping[str, Embedder] = field(default_factory=dict)
    vector_stores: Mapping[str, VectorStore] = field(default_factory=dict)
    dispatchers: Mapping[str, Dispatcher] = field(default_factory=dict)
    secret_stores: Mapping[str, SecretStore] = field(default_factory=dict)
    sandboxes: Mapping[str, SandboxBackend] = field(default_factory=dict)
    absent: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, **components: Iterable[Any]) -> Components:
        """Components from plain lists: ``Components.of(bot_types=[Http()], notifiers=[Log()])``.

        Raises:
          TypeError: A keyword names no kind.
          ValueError: Two components of a kind have the same name.
        """
        labels = {kind.key: kind.label for kind in KINDS}
        if unknown := components.keys() - labels.keys():
            raise TypeError(f"no kinds: {', '.join(sorted(unknown))}; kinds: {', '.join(labels)}")
        named: Any = {key: _by_name(labels[key], each) for key, each in components.items()}
        return cls(**named)

    def bot_type(self, name: str) -> BotType:
        """The bot type of this name, or ``ComponentNotFound``."""
        return self._find("bot type", self.bot_types, name)

    def trigger_type(self, name: str) -> TriggerType:
        """The trigger type of this name, or ``ComponentNotFound``."""
        return self._find("trigger type", self.trigger_types, name)

    def notifier(self, name: str) -> Notifier:
        """The notifier of this name, or ``ComponentNotFound``."""
        return self._find("notifier", self.notifiers, name)

    def llm_provider(self, name: str) -> LLMProvider:
        """The LLM provider of this name, or ``ComponentNotFound``."""
        return self._find("LLM provider", self.llm_providers, name)

    def embedder(self, name: str) -> Embedder:
        """The embedder of this name, or ``ComponentNotFound``."""
        return self._find("embedder", self.embedders, name)

    def vector_store(self, name: str) -> VectorStore:
        """The vector store of this name, or ``ComponentNotFound``."""
        return self._find("vector store", self.vector_stores, name)

    def dispatcher(self, name: str) -> Dispatcher:
        """The dispatcher of this name, or ``ComponentNotFound``."""
        return self._find("dispatcher", self.dispatchers, name)

    def secret_store(self, scheme: str) -> SecretStore:
        """The secret store of this scheme, or ``ComponentNotFound``."""
        return self._find("secret store", self.secret_stores, scheme)

    def sandbox(self, name: str) -> SandboxBackend:
        """The sandbox of this name, or ``ComponentNotFound``."""
        return self._find("sandbox", self.sandboxes, name)

    def _find(self, word: str, components: Mapping[str, _Component], name: str) -> _Component:
        try:
            return components[name]
        except KeyError:
            why = self.absent.get((word, name), "")
            raise ComponentNotFound(word, name, components, why) from None


def _by_name(label: str, items: Iterable[Any]) -> Mapping[str, Any]:
    named: dict[str, Any] = {}
    for item in items:
        if named.setdefault(name := getattr(item, label), item) is not item:
            raise ValueError(f"two components are called {name!r}")
    return MappingProxyType(named)
