"""Every hook, so that every process knows all of them and a misspelt one is refused.

The prefix is the calling convention:

``register_``
    Once at start, plugin by plugin, each with its own table of settings. If it raises, the
    plugin is left out and listed as failed.
``check_``
    All plugins, before something is stored. If it raises, the write is refused.
``decide_``
    In order until one answers. If it raises, it is logged and read as None.
``wrap_``
    Once at start, each plugin given the call so far; what comes back is what runs.
``on_``
    Plugin by plugin, after the commit. If it raises, it is logged and changes nothing.
"""

# A specification has no body: pluggy reads its name and its arguments.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from codex32.kernel.bot import Bot
from codex32.kernel.contracts.bot_type import BotType, StepContext
from codex32.kernel.contracts.dispatcher import Dispatcher
from codex32.kernel.contracts.embedder import Embedder
from codex32.kernel.contracts.llm import LLMProvider
from codex32.kernel.contracts.migration import MigrationSource
from codex32.kernel.contracts.notifier import Notifier
from codex32.kernel.contracts.route import Route
from codex32.kernel.contracts.sandbox import SandboxBackend
from codex32.kernel.contracts.secret_store import SecretStore
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.contracts.vector_store import VectorStore
from codex32.kernel.events import Event
from codex32.kernel.json_values import JSON
from codex32.kernel.markers import hookspec
from codex32.kernel.outcomes import Failed, Outcome
from codex32.kernel.problems import Problem
from codex32.kernel.views import StepInfo

if TYPE_CHECKING:
    import click

#: One try of a step: ``await call(bot_type, context, params)``.
StepCall: TypeAlias = Callable[[BotType, StepContext, Mapping[str, JSON]], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What follows a failed try: another after ``delay_seconds``, or none."""

    retry: bool
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process of the house: ``kind`` is ``api worker scheduler cli``."""

    kind: str
    id: str
    pid: int


# what a plugin offers


@hookspec
def register_bot_types(config: Mapping[str, Any]) -> Iterable[BotType]:
    """Offer kinds of steps."""


@hookspec
def register_llm_providers(config: Mapping[str, Any]) -> Iterable[LLMProvider]:
    """Offer language models."""


@hookspec
def register_embedders(config: Mapping[str, Any]) -> Iterable[Embedder]:
    """Offer ways to turn texts into vectors."""


@hookspec
def register_vector_stores(config: Mapping[str, Any]) -> Iterable[VectorStore]:
    """Offer places to keep vectors."""


@hookspec
def register_notifiers(config: Mapping[str, Any]) -> Iterable[Notifier]:
    """Offer ways to tell people."""


@hookspec
def register_trigger_types(config: Mapping[str, Any]) -> Iterable[TriggerType]:
    """Offer kinds of triggers."""


@hookspec
def register_dispatchers(config: Mapping[str, Any]) -> Iterable[Dispatcher]:
    """Offer ways to carry ids to workers; the setting ``dispatcher`` chooses one by name."""


@hookspec
def register_secret_stores(config: Mapping[str, Any]) -> Iterable[SecretStore]:
    """Offer places where secrets are looked up."""


@hookspec
def register_sandboxes(config: Mapping[str, Any]) -> Iterable[SandboxBackend]:
    """Offer ways to keep programs in; the setting ``sandbox.backend`` may name one."""


@hookspec
def register_migrations() -> Iterable[MigrationSource]:
    """Bring tables of one's own."""


@hookspec
def register_api_routes(config: Mapping[str, Any]) -> Iterable[Route]:
    """Add routes, mounted below ``/api/v1/plugins/<plugin name>``."""


@hookspec
def register_cli_commands(cli: click.Group) -> None:
    """Add commands to ``codex32``."""


# what a plugin may object to


@hookspec
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Name faults of the plugin's own table of settings."""


@hookspec
def check_bot(bot: Bot) -> Iterable[Problem]:
    """Object to a bot's definition before it becomes a version."""


# what a plugin may decide


@hookspec(firstresult=True)
def decide_retry(bot: str, step: StepInfo, outcome: Failed) -> RetryDecision | None:
    """Say whether a failed try is followed by another; None leaves it to the bot file."""


# what a plugin may stand around


@hookspec
def wrap_step(call: StepCall) -> StepCall:
    """Stand around each try of a step; called once at start."""


# what a plugin may take note of


@hookspec
def on_process_started(process: ProcessInfo) -> None:
    """A process of the house is ready."""


@hookspec
def on_process_stopping(process: ProcessInfo) -> None:
    """A process of the house is about to end."""


@hookspec
def on_event(event: Event) -> None:
    """Something happened; called after the commit, on a thread, never on the event loop."""
