"""``codex32 up``: everything on this machine with one command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context

if TYPE_CHECKING:
    from codex32.cli.house import Plan

#: Exit codes with which a process says that starting it again cannot help.
HOPELESS = (failures.FAILED, failures.USAGE, failures.NOT_POSSIBLE, failures.NOT_READY)


@click.command()
@json_option
@click.option("--workers", type=click.IntRange(1), help="Worker processes [setting].")
@click.option("--host", help="Address of the API [setting].")
@click.option("--port", type=click.IntRange(0, 65535), help="Its port; 0: any free [setting].")
@pass_context
def up(obj: Context, workers: int | None, host: str | None, port: int | None) -> None:
    """Run everything: API, scheduler and workers, with Redis if none is configured.

    Watches the folders of bots and says what happens, until Ctrl-C. With --json, each happening
    is a JSON document in a line of its own.
    """
    began = time.monotonic()
    obj.override({"worker.processes": workers, "api.host": host, "api.port": port})
    obj.speak_as_service()
    from codex32.cli.holding import hold
    from codex32.cli.house import become
    from codex32.tables import upgrade_schema

    with hold(obj.settings.home) as held:
        _tell(obj, f"Codex-32 {version('codex32')} in {obj.settings.folder}", "start")
        if count := len(upgrade_schema(obj.settings, obj.plugins)):
            _tell(obj, f"database  brought up to date ({count} migrations)", "migrated")
        become(_plan(obj, began), held)


def _plan(obj: Context, began: float) -> Plan:
    from codex32.cli.house import Plan

    settings = obj.settings
    kind = settings.database_url.partition(":")[0]
    return Plan(
        began=began,
        folder=str(settings.folder),
        home=str(settings.home),
        as_json=obj.json,
        log_format=settings.log.format,
        redis="bundled" if settings.redis_url is None else "yours",
        processes=[
            (name, group, [*obj.command_line(), *command])
            for name, group, command in _processes(obj)
        ],
        environment=_environment(obj),
        grace_seconds=settings.worker.stop_grace_seconds,
        hopeless=HOPELESS,
        token="as set" if settings.api.token else str(_short(settings.token_file)),
        about=f"{settings.worker.processes} workers, {kind}",
    )


def _processes(obj: Context) -> Iterator[tuple[str, str, list[str]]]:
    # Bots may need what a companion serves, as soon as the first of them runs.
    for name in obj.settings.up.companions:
        yield name, "companions", [name]
    yield "api", "api", ["serve"]
    yield "scheduler", "scheduler", ["scheduler", "--tell"]
    for number in range(obj.settings.worker.processes):
        yield f"worker {number + 1}", "workers", ["worker", "--processes", "1"]


def _environment(obj: Context) -> Mapping[str, str]:
    api = obj.settings.api
    environment = {"CODEX32_API__HOST": api.host, "CODEX32_API__PORT": str(api.port)}
    if obj.settings.where("log.level") == "default":
        # What goes well is told by the house, in one place; the processes tell what does not.
        environment["CODEX32_LOG__LEVEL"] = "warning"
    return environment


def _tell(obj: Context, text: str, event: str) -> None:
    if obj.json:
        print(json.dumps({"event": event, "text": text}, ensure_ascii=False), flush=True)
    elif obj.settings.log.format == "ecs":
        from codex32.cli import ecs

        print(ecs.line(text, "info", __name__, {"event.action": event}), flush=True)
    else:
        obj.output.line(text)


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
