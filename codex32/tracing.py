"""Traces as the settings want them: what spans stand around, and where traces are shown."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from codex32.engine.records.advance import Claim, End
from codex32.engine.records.happenings import Recorded
from codex32.engine.running.environment import Environment
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.collections import CollectionKeeper
from codex32.kernel.contracts.gateway import ModelGateway
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.events import AttemptFinished, ExecutionEvent, ExecutionFinished
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ExecutionRow
from codex32.kernel.notices import Notice
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import FINAL
from codex32.outside.traces import around
from codex32.outside.traces.spans import Ended, Tracing
from codex32.services.executions import executions
from codex32_config import SettingsError

if TYPE_CHECKING:
    from codex32.outside.traces.collector import Collector
    from codex32_config.settings import Settings


@dataclass(frozen=True, slots=True)
class Traces:
    """The spans of this process, and their way out."""

    tracing: Tracing
    collector: Collector

    def take_note(self, notices: Sequence[Notice]) -> None:
        """Tell of attempts and executions that have ended."""
        for notice in notices:
            match notice:
                case Recorded():
                    for item in notice.items:
                        if item.end is not None:
                            self._tell(item.claim, item.end)
                case AttemptFinished():
                    ended, lasted = to_micros(notice.at), int(notice.duration_seconds * 1e6)
                    attempt = notice.attempt, notice.outcome, ended - lasted
                    self.tracing.ended(Ended(*_of(notice), *attempt, None, None, ended))
                case ExecutionFinished():
                    end = notice.status, notice.cause, to_micros(notice.at)
                    self.tracing.ended(Ended(*_of(notice), 0, "", 0, *end))

    def _tell(self, claim: Claim, end: End) -> None:
        status = end.status if end.status in FINAL else None
        about = claim.workspace, claim.bot_name, claim.id, claim.traceparent
        attempt = claim.attempt, end.outcome, claim.attempt_at
        self.tracing.ended(Ended(*about, *attempt, status, end.cause, end.at))

    def programs(self, inner: ProgramRunner) -> ProgramRunner:
        """The same, and a span around each program."""
        return around.TracedPrograms(self.tracing, inner)

    def models(self, inner: ModelGateway) -> ModelGateway:
        """The same, and a span around each call."""
        return around.TracedModels(self.tracing, inner)

    def collections(self, inner: CollectionKeeper) -> CollectionKeeper:
        """The same, and a span around all that is done with one."""
        return around.TracedCollections(self.tracing, inner)

    def around(self, env: Environment) -> Environment:
        """The same parts, and a span around each of their doings."""
        tracing = self.tracing
        return replace(
            env,
            call=around.call(tracing, env.call),
            http=lambda hosts: around.TracedHttp(tracing, env.http(hosts)),
            programs=self.programs(env.programs),
            models=env.models and self.models(env.models),
            send=around.send(tracing, env.send),
            trace=tracing.of_attempt,
        )


def _of(event: ExecutionEvent) -> tuple[str, str, str, str | None]:
    return event.workspace, event.bot, event.execution_id, event.traceparent


def traces(settings: Settings, process: str) -> Traces:
    """Traces of the process of this id, which go to ``tracing.endpoint``.

    Raises:
      SettingsError: What sends them is not installed.
    """
    try:
        from codex32.outside.traces.collector import Collector
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"tracing.endpoint is set and {error.name} is not installed: install codex32[otel]"
        ) from None

    chosen = settings.tracing
    assert chosen.endpoint is not None
    collector = Collector(chosen.endpoint, _headers(settings), process, _resource(os.environ))
    return Traces(Tracing(collector.keep, chosen.sample), collector)


def trouble(settings: Settings) -> str | None:
    """Why the collector takes no spans, asked with none; None where it takes them.

    Raises:
      SettingsError: What sends them is not installed.
    """
    made = traces(settings, "none")
    try:
        return made.collector.ask()
    finally:
        made.collector.close()


def _headers(settings: Settings) -> dict[str, str]:
    chosen = settings.tracing.headers
    headers = "" if chosen is None else chosen.get_secret_value()
    pairs = (part.strip().partition("=") for part in headers.split(",") if part.strip())
    return {name: value for name, _, value in pairs}


def _resource(environ: Mapping[str, str]) -> dict[str, str]:
    """What OpenTelemetry's own variables say of this installation, as in all that it watches."""
    parts = (
        part.partition("=") for part in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    )
    told = {name.strip(): unquote(value.strip()) for name, sign, value in parts if sign}
    if name := environ.get("OTEL_SERVICE_NAME"):
        told["service.name"] = name
    return {name: value for name, value in told.items() if name}


def detail(settings: Settings, payloads: PayloadStore, row: ExecutionRow) -> dict[str, JSON]:
    """An execution with its values, and where people find its trace, for JSON."""
    return {**executions.detail(row, payloads), "trace": _shown(settings, row)}


def _shown(settings: Settings, row: ExecutionRow) -> JSON:
    """None where it is not kept, as far as today's settings tell."""
    chosen = settings.tracing
    if chosen.endpoint is None:
        return None
    own = Tracing(lambda told: None, chosen.sample).of(row.id, row.traceparent)
    if not own.sampled:
        return None
    url = None if chosen.link is None else chosen.link.replace("{trace}", own.trace)
    return {"id": own.trace, "url": url}
