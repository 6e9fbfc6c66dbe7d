"""What ``codex32 doctor`` looks at; a look that fails is a finding, not the end of the others."""

from __future__ import annotations

import asyncio
import errno
import getpass
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from codex32.bundled import running_redis_url
from codex32.cli import lacking
from codex32.cli.context import Context
from codex32.cli.failures import describe
from codex32.cli.files import bot_files, read_all
from codex32.cli.finding import Finding, few
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.contracts.sandbox import SandboxLevel
from codex32.kernel.database import is_sqlite
from codex32.kernel.models import BotRow, ExecutionRow, database_proxy
from codex32.kernel.redaction import unsaid
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.kernel.text import did_you_mean
from codex32.runtime import Runtime
from codex32.services.executions import dead_letters
from codex32.services.upkeep import processes
from codex32.tables import schema_status

_MIB = 1024 * 1024
_LITTLE_DISK_MIB, _NO_DISK_MIB = 1024, 100
_CLOCK_WARN_SECONDS, _CLOCK_FAIL_SECONDS = 1.0, 5.0
#: Faults of bot files that are told; `codex32 validate` tells all.
_MOST_FAULTS = 5
#: Without one of these nothing is executed.
_NEEDED = ("scheduler", "worker")


def examine(obj: Context) -> list[Finding]:
    """Everything, in an order in which a cause stands before what follows from it."""
    found: list[Finding] = []
    for name, look in _LOOKS.items():
        found += _safely(name, lambda look=look: look(obj))  # type: ignore[misc]
        if name in ("settings", "home", "schema") and found[-1].state == "fail":
            return found  # the rest would only fail for the same reason
    with obj.runtime() as runtime:
        for name, about in _ABOUT_ROWS.items():
            found += _safely(name, lambda about=about: about(runtime))  # type: ignore[misc]
    return found


def _safely(name: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        found = list(look())
    except Exception as error:
        found = [Finding(name, "fail", describe(error)[0]["message"])]
    return [replace(each, detail=unsaid(each.detail)) for each in found]


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
    for problem in obj.plugins.check_config(obj.settings.plugins):
        yield Finding("plugins", "warn", str(problem), "these settings have no effect")
    there = {record.distribution for record in obj.plugins.records}
    for entry in obj.settings.loading.allow or ():
        name = entry.partition("==")[0].strip().lower().replace("_", "-")
        if name not in there:
            told = f"loading.allow: no plugin comes from {name!r}{did_you_mean(name, there)}"
            yield Finding("plugins", "warn", told, "name distributions, as codex32 plugins does")
    loaded = sum(record.state == "loaded" for record in obj.plugins.records)
    yield Finding("plugins", "ok", f"{loaded} loaded")


def _schema(obj: Context) -> Iterator[Finding]:
    try:
        found = schema_status(obj.settings, obj.plugins)
    except Exception as error:
        if obj.settings.database_url.startswith("sqlite:///"):
            remedy = "if its file is damaged, restore a backup: docs/howto/back-up.md"
        else:
            remedy = "is it running, is database_url right? codex32 config show tells where from"
        yield Finding("schema", "fail", describe(error)[0]["message"], remedy)
        return
    pending = [f"{each.source}/{each.name}" for each in found if not each.applied]
    newer = [f"{each.source}/{each.name}" for each in found if not each.known]
    if len(pending) == len(found):
        remedy = "codex32 up makes it, and so does codex32 db upgrade"
        yield Finding("schema", "fail", "there is no database yet", remedy)
    elif pending:
        yield Finding("schema", "fail", f"lacks {few(pending)}", "run: codex32 db upgrade")
    elif newer:
        told = f"is newer than codex32 {version('codex32')}: it has {few(newer)}"
        yield Finding("schema", "warn", told, "upgrade codex32 here, or what brought that")
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


def _tracing(obj: Context) -> Iterator[Finding]:
    endpoint = obj.settings.tracing.endpoint
    if endpoint is None:
        return
    from codex32.tracing import trouble

    found = trouble(obj.settings)
    if found is None:
        yield Finding("tracing", "ok", f"{endpoint} takes spans")
    else:
        remedy = "start it, or mend tracing.endpoint and tracing.headers; executions go on"
        yield Finding("tracing", "warn", f"{endpoint} takes no spans: {found}", remedy)


def _home(obj: Context) -> Iterator[Finding]:
    """Whether whoever asks may write there; a house made by root is closed to others."""
    home = obj.settings.home
    place = next(each for each in (home, *home.parents) if each.exists())
    tried = place
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
        for tried in sorted(home.glob("codex32.db*")):
            with tried.open("r+b"):
                pass
    except OSError as error:
        remedy = f"let {_user()} own {home} (chown -R), or set home"
        yield Finding("home", "fail", f"{tried}: {error.strerror}", remedy)
        return
    yield Finding("home", "ok", f"{home} can be written")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers run users that have no name
        return f"the user {os.getuid()}"


def _folders(obj: Context) -> Iterator[Finding]:
    for folder in obj.settings.bots.folders:
        if not folder.is_dir():
            remedy = "make it, or name another in bots.folders; codex32 init begins a project"
            yield Finding("folders", "warn", f"there is no folder {folder}", remedy)
        elif not os.access(folder, os.R_OK | os.X_OK):
            remedy = f"let {_user()} read it"
            yield Finding("folders", "fail", f"{folder} cannot be read", remedy)
        else:
            yield Finding("folders", "ok", str(folder))


def _files(obj: Context) -> Iterator[Finding]:
    """Faults of bot files, also before anybody has taken them in."""
    folders = [each for each in obj.settings.bots.folders if os.access(each, os.R_OK | os.X_OK)]
    files = bot_files(obj, folders) if folders else []
    _, problems = read_all(obj, files)
    for problem in problems[:_MOST_FAULTS]:
        yield Finding("files", "warn", str(problem))
    more = len(problems) - _MOST_FAULTS
    if more > 0:
        yield Finding("files", "warn", f"and {more} faults more", "codex32 validate shows all")
    yield Finding("files", "ok", f"{len(files)} bot files")


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
    url = running_redis_url(runtime.settings)
    if url is None and not set(kinds).isdisjoint(_NEEDED):
        remedy = "look into redis.log; codex32 up starts it again"
        told = "no Redis answers here, so workers poll the database"
        yield Finding("processes", "warn", told, remedy)
    for kind in _NEEDED:
        if kind not in kinds:
            remedy = f"codex32 up, or codex32 {kind}"
            yield Finding("processes", "warn", f"no {kind} is alive", remedy)
    told = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    yield Finding("processes", "ok", told or "none")


def _port(runtime: Runtime) -> Iterator[Finding]:
    host, port = runtime.settings.api.host, runtime.settings.api.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    remedy = "choose another: api.port, or codex32 up --port"
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                yield Finding("port", "fail", f"{host}:{port}: {error.strerror}", remedy)
            elif _is_ours(runtime, port):
                yield Finding("port", "ok", f"{host}:{port} is the API's")
            else:
                yield Finding("port", "fail", f"{host}:{port}: somebody else listens", remedy)
            return
    yield Finding("port", "ok", f"{host}:{port} is free")


def _is_ours(runtime: Runtime, port: int) -> bool:
    """Whether the API of this home, as it has put down itself, lives and listens there."""
    try:
        told = json.loads((runtime.settings.home / "api.json").read_text(encoding="utf-8"))
        os.kill(told["pid"], 0)
    except (OSError, ValueError, KeyError):
        return False
    return bool(told["url"].rpartition(":")[2] == str(port))


def _alerts(runtime: Runtime) -> Iterator[Finding]:
    for row in AlertRow.select().where(AlertRow.bot_id == ""):
        told = f"{row.owner_name}: {row.name}: {row.detail}"
        yield Finding("alerts", "warn", told, "mend its `bots:`, or remove it")
    count, fire = AlertRow.select().count(), AlertRow.state == "firing"
    firing = AlertRow.select().where(fire).count()
    yield Finding("alerts", "ok", f"{count} known, {firing} fire")


def _failures(runtime: Runtime) -> Iterator[Finding]:
    letters = ExecutionRow.select().where(dead_letters.OPEN).count()
    if letters:
        told = f"{letters} failed executions that nobody has looked after"
        yield Finding("failures", "warn", told, "codex32 dead-letters list")


_LOOKS: dict[str, Callable[[Context], Iterator[Finding]]] = {
    "python": _python,
    "settings": _settings,
    "plugins": _plugins,
    "sandbox": _sandbox,
    "packages": _packages,
    "home": _home,
    "folders": _folders,
    "files": _files,
    "disk": _disk,
    "token": _token,
    "redis": _redis,
    "tracing": _tracing,
    "schema": _schema,
}
_ABOUT_ROWS: dict[str, Callable[[Runtime], Iterator[Finding]]] = {
    "database": _database,
    "keys": _keys,
    "port": _port,
    "bots": _bots,
    "secrets": lacking.secrets_of_bots,
    "connections": lacking.connections_of_bots,
    "models": lacking.models_of_bots,
    "hosts": lacking.hosts_of_bots,
    "webhooks": lacking.webhooks_that_rest,
    "alerts": _alerts,
    "failures": _failures,
    "collections": _collections,
    "processes": _processes,
}
