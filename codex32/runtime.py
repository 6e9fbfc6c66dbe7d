"""The one place where the parts are put together: every default is chosen here."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from codex32 import chosen
from codex32.engine.reading.definition import Reader
from codex32.engine.reading.policies import unsigned_webhooks
from codex32.engine.running.environment import Environment
from codex32.installed import load_plugins
from codex32.kernel import schema
from codex32.kernel.clock import Clock, SystemClock
from codex32.kernel.components import Components
from codex32.kernel.contracts.bot_type import BotType, StepContext
from codex32.kernel.contracts.dispatcher import Dispatcher
from codex32.kernel.contracts.gateway import ModelGateway
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.database import Door, Stop, announce_all
from codex32.kernel.errors import Codex32Error
from codex32.kernel.events import PluginFailed
from codex32.kernel.fault_points import arm_from_environment
from codex32.kernel.hookspecs import ProcessInfo
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.kernel.notices import Notice, events_in
from codex32.kernel.outcomes import Outcome
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.plugins import Plugins
from codex32.services.access.foreign_sign_in import ForeignRules
from codex32.services.access.parts import Access
from codex32.services.access.signing_in import Rules
from codex32.services.bots.cards import card
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.plans import Plans
from codex32.services.bots.registry import Policy, Registry
from codex32.services.events.outbox import Outbox
from codex32.services.executions.retrying import Retrier
from codex32.services.executions.starting import Starter
from codex32.services.metering.around import CountedPrograms, CountedSending
from codex32.services.metering.meter import Meter
from codex32.services.safe import audit, connections
from codex32.services.safe.audit_anchors import Anchors
from codex32.services.safe.secret_lookup import SecretLookup
from codex32.services.safe.vault import Vault
from codex32.services.triggers.backfill import Backfiller
from codex32.services.triggers.triggers import Ticker
from codex32.services.upkeep import timekeeping
from codex32.tables import migration_sources, open_database
from codex32_config.settings import Settings

if TYPE_CHECKING:
    from codex32.outside.http_on_demand import HttpOnDemand
    from codex32.outside.sandboxes.runner import SandboxedRunner
    from codex32.services.ai.parts import Models
    from codex32.services.bots.folders import FolderSync
    from codex32.services.building.builder import Builder
    from codex32.services.retrieval.retrieval import Retrieval
    from codex32.tracing import Traces

log = logging.getLogger(__name__)


@dataclass
class Runtime:
    """The parts of one process.

    Attributes:
      process: Which process this is; its id is the name under which executions are claimed.
      listeners: Told of everything after its commit, beside the plugins.
      meter: Counts events, where the settings want it.
    """

    settings: Settings
    plugins: Plugins
    door: Door
    process: ProcessInfo
    clock: Clock = field(default_factory=lambda: SystemClock.shared)
    listeners: list[Callable[[Sequence[Notice]], None]] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    #: Called before the event loop ends, by :meth:`leave`.
    leaving: list[Callable[[], Awaitable[None]]] = field(default_factory=list, repr=False)

    @property
    def components(self) -> Components:
        """What is installed."""
        return self.plugins.components

    @cached_property
    def payloads(self) -> PayloadStore:
        """Where values go that are too long for a row."""
        return PayloadStore(self.settings.payload_directory, self.settings.storage.inline_bytes)

    @cached_property
    def outbox(self) -> Outbox:
        """Writes the events that somebody listens to."""
        return Outbox(self.components.trigger_types, self.payloads)

    @cached_property
    def reader(self) -> Reader:
        """Reads bot files with what is installed; plugins may object."""
        checks = [self.plugins.check_bot]
        if not self.settings.bots.unsigned_webhooks:
            checks.append(partial(unsigned_webhooks, types=self.components.trigger_types))
        return Reader(self.components, checks)

    @cached_property
    def definitions(self) -> Definitions:
        """Stored versions as bots."""
        return Definitions(self.reader.from_document)

    @cached_property
    def registry(self) -> Registry:
        """Writes bots and versions."""
        policy = Policy(self.settings.approvals.capabilities)
        return Registry(self.components.trigger_types, self.definitions, policy)

    def folder_sync(self) -> FolderSync:
        """Keeps the registry at what the folders of the settings hold."""
        parts = self.reader, self.registry, self.door, self.clock
        return chosen.folder_sync(self.settings, self.plugins, *parts)

    @cached_property
    def starter(self) -> Starter:
        """Starts executions."""
        return Starter(self.door, self.definitions, self.payloads, self.clock)

    @cached_property
    def retrier(self) -> Retrier:
        """Retries executions that have ended."""
        return Retrier(self.door, self.definitions, self.payloads, self.clock)

    @cached_property
    def backfiller(self) -> Backfiller:
        """Makes up for times of schedules."""
        ticker = Ticker(self.components.trigger_types, self.definitions, self.payloads)
        return Backfiller(
            ticker, self.components.trigger_types, self.definitions, self.payloads, self.clock
        )

    @cached_property
    def dispatcher(self) -> Dispatcher | None:
        """Carries ids to workers, or None where none is reached: workers then poll."""
        return self.components.dispatchers.get(self.settings.dispatcher)

    def told(self, notices: Sequence[Notice]) -> None:
        """Carry what was committed to workers and listeners."""
        ids = [each for each in notices if isinstance(each, str) and not isinstance(each, Stop)]
        stops = [each for each in notices if isinstance(each, Stop)]
        if self.dispatcher is not None:
            for start in range(0, len(ids), 1000):
                self.dispatcher.dispatch(ids[start : start + 1000])
            for start in range(0, len(stops), 1000):
                self.dispatcher.cancel(stops[start : start + 1000])
        for listener in (*self.listeners, self.meter.take_note):
            try:
                listener(notices)
            except Exception:
                log.exception("%s failed at what was told", listener)
        if self.plugins.listening:
            for event in events_in(notices):
                self.plugins.tell(event)

    def environment(self) -> Environment:
        """What attempts work with; belongs to the running event loop."""
        from codex32.outside.addresses import GuardedAddresses
        from codex32.outside.http_on_demand import HttpOnDemand

        private = self.settings.outside.private_hosts
        client = HttpOnDemand(private)
        programs = self.programs()
        env = Environment(
            door=self.door,
            components=self.components,
            payloads=self.payloads,
            plan=Plans(self.door, self.definitions, self.components).plan,
            call=self.plugins.wrap_step(_call),
            http=client.for_hosts,
            programs=CountedPrograms(self.meter, programs),
            send=CountedSending(self.meter),
            secret=self.secrets.secret,
            connection=partial(connections.look_up, self.door),
            address=GuardedAddresses(private),
            bot_card=partial(self.door.read, card, self.definitions),
            start_child=self.starter.start_child,
            models=self.models.gateway,
            notifier_rate=lambda name: self.components.notifier(name).rate,
            public_url=chosen.public_url(self.settings),
            decide_retry=self.plugins.decide_retry,
            keeping=self.outbox.listening,
            clock=self.clock,
        )
        env = env if self.traces is None else self.traces.around(env)
        # What these do is counted and traced as it is of steps.
        shelf = self.retrieval(env.programs, env.models)
        collections = shelf if self.traces is None else self.traces.collections(shelf)
        mcp = chosen.mcp_servers(self.settings, env.http)
        close = partial(_close, programs, shelf, mcp, client, self.models)
        return replace(env, collections=collections, mcp=mcp, close=close)

    @cached_property
    def traces(self) -> Traces | None:
        """The spans of this process; None where nobody is told of them."""
        if self.settings.tracing.endpoint is None:
            return None  # and nothing of it is even imported
        from codex32.tracing import traces

        found = traces(self.settings, self.process.id)
        self.listeners.append(found.take_note)
        return found

    def programs(self) -> SandboxedRunner:
        """Runs the Python of bots; belongs to the running event loop."""
        from codex32.sandboxing import runner

        return runner(self.settings, self.components.sandboxes)

    def retrieval(self, programs: ProgramRunner, models: ModelGateway | None = None) -> Retrieval:
        """Keeps collections, whose documents ``programs`` reads; of the running event loop."""
        from codex32.collecting import keeper

        return keeper(self.settings, self.models, models or self.models.gateway, programs)

    @cached_property
    def builder(self) -> Builder:
        """Makes bots of descriptions; belongs to the running event loop."""
        from codex32.building import builder

        registry, secrets = self.registry, self.secrets
        return builder(
            self.settings, self.models, self.reader, self.definitions, registry, secrets
        )

    @cached_property
    def vault(self) -> Vault:
        """Seals and opens what must not be read from the database."""
        return Vault(chosen.key_source(self.settings))

    @cached_property
    def anchors(self) -> Anchors:
        """Where the head of the audit log is noted, outside the database."""
        return Anchors(self.settings.home / "audit-heads")

    @cached_property
    def secrets(self) -> SecretLookup:
        """Looks up what steps ask for."""
        stores = partial(chosen.secret_stores, self.settings, self.components)
        shared, own = self.settings.secrets.workspaces, self.settings.secret_values()
        return SecretLookup(self.door, self.vault, stores, shared, own)

    @cached_property
    def models(self) -> Models:
        """Calls models, and pays them."""
        from codex32.outside.redis_board import RedisBoard
        from codex32.services.ai.parts import Models

        return Models(
            door=self.door,
            clock=self.clock,
            components=self.components,
            payloads=self.payloads,
            board=lambda: RedisBoard(lambda: self.settings.redis_url),
            secret=self.secrets.secret,
            caps=chosen.caps(self.settings),
            prices=chosen.prices(self.settings),
            rules=chosen.model_rules(self.settings),
            booked=self.meter.model_request,
        )

    @cached_property
    def access(self) -> Access:
        """Lets people and programs in.

        Raises:
          ComponentNotFound: The notifier of the settings is not installed.
          SettingsError: An OpenID provider lacks a setting.
        """
        auth = self.settings.auth
        return Access(
            door=self.door,
            clock=self.clock,
            ring=lambda: self.vault.source.ring(make=True),
            rules=Rules(
                password_grant=auth.password_grant,
                registration=auth.registration,
                access_seconds=int(auth.access_minutes * 60),
                session_seconds=int(auth.session_days * 86400),
            ),
            way_out=self._way_out,
            notifier=None if auth.mail is None else self.components.notifier(auth.mail),
            provider=chosen.openid_client(auth.oidc),
            foreign_rules=ForeignRules(auth.oidc.domains, auth.oidc.create),
        )

    def _way_out(self, private: str | None) -> HttpOnDemand:
        from codex32.outside.http_on_demand import HttpOnDemand

        way = HttpOnDemand([*self.settings.outside.private_hosts, *filter(None, [private])])
        self.leaving.append(way.close)
        return way

    async def leave(self) -> None:
        """Finish what goes out, before the event loop ends."""
        if "access" in self.__dict__:
            await self.access.close()
        for close in self.leaving:
            await close()

    def close(self) -> None:
        """Let go of everything, in the reverse order."""
        self.plugins.process_stopping(self.process)
        self.meter.keep_now(self.door)
        self.door.close()
        if "dispatcher" in self.__dict__ and self.dispatcher is not None:
            self.dispatcher.close()
        if "traces" in self.__dict__ and self.traces is not None:
            self.traces.collector.close()


async def _close(*parts: Any) -> None:
    for part in parts:
        await part.close()


async def _call(bot_type: BotType, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
    """A try of a step, before plugins stand around it."""
    return await bot_type.run(context, params)


def open_runtime(settings: Settings, kind: str, *, plugins: Plugins | None = None) -> Runtime:
    """Put the parts together for one process.

    Args:
      settings: As ``load_settings`` gives them.
      kind: ``api``, ``worker``, ``scheduler`` or ``cli``.
      plugins: Those already loaded, if they are.

    Raises:
      SchemaOutOfDate: The database lacks migrations.
      KeyMissing: The key ring lacks a key that the database needs.
      PluginError: A plugin failed and ``loading.strict`` is set.
    """
    arm_from_environment(os.environ.get("CODEX32_FAULT_POINTS", ""))
    plugins = plugins or load_plugins(settings)
    database = open_database(settings)
    schema.require(database, migration_sources(plugins))
    process = ProcessInfo(kind=kind, id=new_id("prc"), pid=os.getpid())
    runtime: Runtime
    if path := os.environ.get("CODEX32_CLOCK_SHIFT"):
        SystemClock.shared.shift_from(path)
    door = Door(
        database,
        on_commit=lambda notices: runtime.told(notices),
        outbox=lambda notices: runtime.outbox.keep(notices),
    )
    door.read_now(timekeeping.follow, SystemClock.shared)
    runtime = Runtime(settings=settings, plugins=plugins, door=door, process=process)
    runtime.meter.counting = settings.metrics.enabled
    audit.use(lambda: audit.VaultKeys(runtime.vault))
    if kind != "cli":  # somebody at the command line may have come to mend it
        _require_keys(runtime)
        runtime.traces  # noqa: B018 - what it imports would hold up an event loop
    database.close()  # this thread may never ask again
    plugins.process_started(process)
    for record in plugins.records:
        if record.state == "failed":
            at, why = runtime.clock.now(), record.reason
            door.post(announce_all, PluginFailed(at=at, plugin=record.name, reason=why))
    return runtime


def _require_keys(runtime: Runtime) -> None:
    try:
        runtime.door.read_now(runtime.vault.check)
    except Codex32Error:
        runtime.door.close()
        raise
