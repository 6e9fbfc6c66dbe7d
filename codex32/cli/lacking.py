"""What bots and the house itself are to use, and what is not there for them: for ``doctor``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fnmatch import fnmatchcase

from codex32.cli.finding import Finding, few
from codex32.kernel.account_rows import WorkspaceRow
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import loads
from codex32.kernel.outbound_rows import EndpointRow
from codex32.kernel.safe_rows import ConnectionRow
from codex32.kernel.text import did_you_mean
from codex32.outside.guard import PrivateHosts, surely_refused
from codex32.outside.hosts import parse_patterns
from codex32.runtime import Runtime
from codex32.services.safe import secrets


def secrets_of_bots(runtime: Runtime) -> Iterator[Finding]:
    """Secrets that bots may use."""
    for workspace in _workspaces():
        for name, bots in secrets.wanted(workspace=workspace).items():
            told = f"{few(bots)} in {workspace} may use {name}, which is nowhere"
            yield from _unless_there(runtime, "secrets", workspace, name, told)


def connections_of_bots(runtime: Runtime) -> Iterator[Finding]:
    """Connections that bots may use, and the secrets of those that are there."""
    for workspace in _workspaces():
        mine = ConnectionRow.select().where(ConnectionRow.workspace == workspace)
        there = {row.name: row for row in mine}
        for name, bots in secrets.wanted("connections", workspace=workspace).items():
            if name not in there:
                guess = did_you_mean(name, there)
                told = f"{few(bots)} in {workspace} may use {name}, which is nowhere{guess}"
                yield Finding("connections", "warn", told, f"codex32 connections set {name}")
        for name, row in there.items():
            for secret in loads(row.secrets).values():
                told = f"{name} in {workspace} wants the secret {secret}, which is nowhere"
                yield from _unless_there(runtime, "connections", workspace, secret, told)


def hosts_of_bots(runtime: Runtime) -> Iterator[Finding]:
    """Hosts that bots may reach as far as they say, and that nobody else lets them reach."""
    private = PrivateHosts.parse(runtime.settings.outside.private_hosts)
    ports = {port for _, port in private.networks} | {each.port for each in private.names}
    for workspace in _workspaces():
        for entry, bots in secrets.wanted("hosts", workspace=workspace).items():
            for pattern in parse_patterns([entry]):
                tried = [pattern.port] if pattern.port else [80, *filter(None, ports)]
                if pattern.host and all(
                    surely_refused(pattern.host, port, private) for port in tried
                ):
                    told = f"{few(bots)} in {workspace} may reach {entry}, which is no public host"
                    remedy = "if it is meant, name it in the setting outside.private_hosts"
                    yield Finding("hosts", "warn", told, remedy)


def models_of_bots(runtime: Runtime) -> Iterator[Finding]:
    """Models that bots may ask: who brings them, and the keys that these want."""
    providers = runtime.components.llm_providers
    for workspace in _workspaces():
        asked: dict[str, list[str]] = {}
        for name, bots in secrets.wanted("models", workspace=workspace).items():
            asked.setdefault(name.partition(":")[0], []).extend(bots)
        for pattern, bots in asked.items():
            names = [name for name in providers if fnmatchcase(name, pattern)]
            who = f"{few(sorted(set(bots)))} in {workspace} may ask {pattern}"
            if not names and pattern not in runtime.components.embedders:
                told = f"{who}, which is not installed{did_you_mean(pattern, providers)}"
                yield Finding("models", "warn", told, "install the plugin that brings it")
            if len(names) != 1:  # a pattern that means several wants no key of each
                continue
            secret = providers[names[0]].secret
            if secret is not None:
                told = f"{who}, which wants the secret {secret}, and that is nowhere"
                yield from _unless_there(runtime, "models", workspace, secret, told)


def webhooks_that_rest(runtime: Runtime) -> Iterator[Finding]:
    """Outbound webhooks that the house itself tells nothing any more."""
    resting = EndpointRow.select().where(EndpointRow.disabled_because != "")
    for row in resting.order_by(EndpointRow.workspace, EndpointRow.id):
        why = "it answered 410" if row.disabled_because == "gone" else "nothing got through"
        told = f"{row.id} in {row.workspace} is told of no events any more: {why}"
        remedy = f"mend its receiver, then: codex32 webhooks switch {row.id} --on"
        yield Finding("webhooks", "warn", told, remedy)


def _workspaces() -> list[str]:
    return [row.name for row in WorkspaceRow.select().order_by(WorkspaceRow.name)]


def _unless_there(
    runtime: Runtime, check: str, workspace: str, name: str, told: str
) -> Iterator[Finding]:
    try:
        there = asyncio.run(runtime.secrets.secret(workspace, name)) is not None
    except Codex32Error as error:
        yield Finding(check, "fail", f"{name} in {workspace}: {error.message}")
        return
    if not there:
        yield Finding(check, "warn", told, f"codex32 secrets set {name}")
