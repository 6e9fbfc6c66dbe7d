"""What ``codex32 doctor`` looks at; a look that fails is a finding, not the end of the others."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from codex32.bundled import running_redis_url
from codex32.cli.context import Context
from codex32.cli.failures import describe
from codex32.kernel.contracts.sandbox import SandboxLevel
from codex32.kernel.database import is_sqlite
from codex32.kernel.models import BotRow, database_proxy
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.runtime import Runtime, schema_status
from codex32.services.upkeep import processes

_MIB = 1024 * 1024
_LITTLE_DISK_MIB, _NO_DISK_MIB = 1024, 100
_CLOCK_WARN_SECONDS, _CLOCK_FAIL_SECONDS = 1.0, 5.0
#: Without one of these nothing is executed.
_NEEDED = ("scheduler", "worker")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def examine(obj: Context) -> list[Finding]:
    """Everything, in an order in which a cause stands before what follows from it."""
    found: list[Finding] = []
    for name, look in _LOOKS.items():
        found += _safely(name, lambda look=look: look(obj))  # type: ignore[misc]
        if name in ("settings", "schema") and found[-1].state == "fail":
            return found  # the rest would only fail for the same reason
    with obj.runtime() as runtime:
        for name, about in _ABOUT_ROWS.items():
            found += _safely(name, lambda about=about: about(runtime))  # type: ignore[misc]
    return found


def _safely(name: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except Exception as error:
        return [Finding(name, "fail", describe(error)[0]["message"])]


def _python(obj: Context) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok", f"{found}, codex32 {version('codex32')}")


def _settings(obj: Context) -> Iterator[Finding]:
    yield Finding("settings", "ok", f"{obj.settings.folder}, home {obj.settings.home}")


def _plugins(obj: Context) -> Iterator[Finding]:
    for record in obj.plugins.records:
        if record.state == "failed":
            origin = record.distribution or record.name
            yield Finding(
                "plugins", "fail", f"{record.name}: {record.reason}", f"mend or remove {origin}"
            )
    loaded = sum(record.state == "loaded" for record in obj.plugins.records)
    yield Finding("plugins", "ok", f"{loaded} loaded")


def _schema(obj: Context) -> Iterator[Finding]:
    found = schema_status(obj.settings, obj.plugins)
    pending = [f"{each.source}/{each.name}" for each in found if not each.applied]
    if pending:
        yield Finding("schema", "fail", f"lacks {', '.join(pending)}", "run: codex32 db upgrade")
    else:
        yield Finding("schema", "ok", f"{len(found)} migrations applied")


def _redis(obj: Context) -> Iterator[Finding]:
    url = running_redis_url(obj.settings)
    if url is None:
        yield Finding("redis", "ok", "none configured; `codex32 up` brings its own")
        return
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=3.0, socket_connect_timeout=3.0) as client:
            client.ping()
    except redis.RedisError as error:
        remedy = "start it, or set redis_url; without it workers poll the database"
        yield Finding("redis", "fail", f"does not answer: {error}", remedy)
        return
    yield Finding("redis", "ok", "bundled" if obj.settings.redis_url is None else "answers")


def _disk(obj: Context) -> Iterator[Finding]:
    home = obj.settings.home
    free = shutil.disk_usage(home if home.exists() else home.parent).free // _MIB
    state: Literal["ok", "warn", "fail"] = "ok"
    if free < _LITTLE_DISK_MIB:
        state = "fail" if free < _NO_DISK_MIB else "warn"
    remedy = "" if state == "ok" else "make room, or keep less history (retention)"
    yield Finding("disk", state, f"{free:,} MiB free at {home}", remedy)


def _token(obj: Context) -> Iterator[Finding]:
    path = obj.settings.token_file
    if path.exists() and path.stat().st_mode & 0o077:
        told = f"{path} can be read by others"
        yield Finding("token", "warn", told, f"chmod 600 {path}, and make a new one")


def _sandbox(obj: Context) -> Iterator[Finding]:
    """Each sandbox has programs try to escape it, as it has when a worker starts."""
    from codex32.outside.sandboxes.choice import try_all
    from codex32.sandboxing import sandbox_rules

    chosen = asyncio.run(try_all(obj.plugins.components.sandboxes, sandbox_rules(obj.settings)))
    told = [f"{name}: {fault}" for name, fault in chosen.faults.items() if fault]
    sandbox = chosen.sandbox
    if sandbox is None:
        remedy = "let Linux make user namespaces, or see docs/howto/python-steps.md"
        yield Finding("sandbox", "fail", "; ".join([*told, "Python steps are refused"]), remedy)
    elif not chosen.holds:
        detail = f"{sandbox.name} runs Python steps and does not hold: {'; '.join(told)}"
        yield Finding("sandbox", "warn", detail, "run only code you trust")
    elif sandbox.level is SandboxLevel.PLAIN:
        detail = "plain: accidents of Python steps harm nobody else, malice is not held back"
        yield Finding("sandbox", "warn", detail, "run only code you trust")
    else:
        held = f"{sandbox.name} holds: programs tried to escape it and could not"
        yield Finding("sandbox", "ok", "; ".join([held, *told]))


def _packages(obj: Context) -> Iterator[Finding]:
    from codex32.outside.packages.installers import find_installer
    from codex32.sandboxing import package_shelf

    kept = package_shelf(obj.settings).listing()
    size = sum(each.bytes for each in kept) // _MIB
    told = f"{len(kept)} environments of Python steps, {size:,} MiB"
    installer = find_installer()
    if installer is None:
        remedy = "install uv or pip for the worker's Python"
        yield Finding("packages", "warn", f"{told}; nothing is here to install more", remedy)
    else:
        yield Finding("packages", "ok", f"{told}, installed with {installer.name}")


def _database(runtime: Runtime) -> Iterator[Finding]:
    if is_sqlite():
        path = Path(str(runtime.door.database.database))
        yield Finding("database", "ok", f"SQLite, {path.stat().st_size // 1024:,} KiB")
        return
    began = time.time()
    (theirs, size) = database_proxy.execute_sql(
        "SELECT extract(epoch FROM clock_timestamp()), pg_database_size(current_database())"
    ).fetchone()
    ended = time.time()
    yield Finding("database", "ok", f"PostgreSQL, {size // 1024:,} KiB")
    apart = max(began - float(theirs), float(theirs) - ended, 0.0)
    state: Literal["ok", "warn", "fail"] = "ok"
    if apart > _CLOCK_WARN_SECONDS:
        state = "fail" if apart > _CLOCK_FAIL_SECONDS else "warn"
    remedy = "" if state == "ok" else "let both machines ask a time server (NTP)"
    yield Finding("clock", state, f"{apart:.1f} s apart from the database's", remedy)


def _bots(runtime: Runtime) -> Iterator[Finding]:
    there = BotRow.removed_at.is_null()
    for row in BotRow.select().where(there & BotRow.problems.is_null(False)):
        yield Finding("bots", "warn", f"{row.name} is broken", f"codex32 bots show {row.name}")
    yield Finding("bots", "ok", f"{BotRow.select().where(there).count()} known")


def _collections(runtime: Runtime) -> Iterator[Finding]:
    from codex32.collecting import defaults
    from codex32.services.retrieval.caution import caution

    new = defaults(runtime.settings, runtime.components)
    if told := caution(runtime.components, new.embedder):
        yield Finding("collections", "warn", f"of new ones, {told}", "set retrieval.embedder")
    for row in CollectionRow.select().order_by(CollectionRow.workspace, CollectionRow.name):
        place = f"{row.name} in {row.workspace}"
        if told := caution(runtime.components, row.embedder):
            move = f"codex32 collections reindex {row.name} --embedder NAME"
            yield Finding("collections", "warn", f"{place}: {told}", move)
        if row.store not in runtime.components.vector_stores:
            told = f"{place}: the vector store {row.store} is not installed"
            yield Finding("collections", "warn", told, "install the plugin that brings it")
    known = CollectionRow.select().count()
    told = f"{known} known; new ones: {new.embedder} in {new.store}"
    yield Finding("collections", "ok", told)


def _keys(runtime: Runtime) -> Iterator[Finding]:
    runtime.vault.check()
    source = runtime.vault.source
    if not source.ours:
        yield Finding("keys", "ok", "in the setting secrets.keys")
    elif not source.path.exists():
        yield Finding("keys", "ok", "none needed so far")
    elif source.path.stat().st_mode & 0o077:
        remedy = f"chmod 600 {source.path}"
        yield Finding("keys", "fail", f"others may read {source.path}", remedy)
    else:
        yield Finding("keys", "ok", f"{source.path}; is it backed up?")


def _processes(runtime: Runtime) -> Iterator[Finding]:
    kinds = [each.kind for each in processes.living(runtime.clock.micros())]
    for kind in _NEEDED:
        if kind not in kinds:
            remedy = f"codex32 up, or codex32 {kind}"
            yield Finding("processes", "warn", f"no {kind} is alive", remedy)
    told = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    yield Finding("processes", "ok", told or "none")


_LOOKS: dict[str, Callable[[Context], Iterator[Finding]]] = {
    "python": _python,
    "settings": _settings,
    "plugins": _plugins,
    "sandbox": _sandbox,
    "packages": _packages,
    "disk": _disk,
    "token": _token,
    "redis": _redis,
    "schema": _schema,
}
_ABOUT_ROWS: dict[str, Callable[[Runtime], Iterator[Finding]]] = {
    "database": _database,
    "keys": _keys,
    "bots": _bots,
    "collections": _collections,
    "processes": _processes,
}
