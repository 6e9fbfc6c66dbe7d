"""``codex32 validate``, ``fmt`` and ``schema``: bot files, without a database."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.failures import FAILED, CommandFailed

if TYPE_CHECKING:
    from codex32.engine.reading.definition import Reading

_PATHS = click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]..."
)


@click.command()
@json_option
@_PATHS
@pass_context
@click.pass_context
def validate(ctx: click.Context, obj: Context, paths: tuple[Path, ...]) -> None:
    """Check bot files; all faults are told, each as file:line:column.

    PATH is a bot file or a folder of them; without one, the folders of the settings are checked.
    Exit code 1 where there are faults.
    """
    files = bot_files(obj, paths)
    readings, problems = read_all(obj, files)
    bots = [
        {"name": bot.name, "file": str(path)}
        for path, reading in readings.items()
        for bot in reading.bots
    ]

    def show() -> None:
        for problem in problems:
            obj.output.line(str(problem))
        for note in strays(readings):
            obj.output.note(note)
        faults = f"{_count(len(problems), 'fault')}" if problems else "no faults"
        obj.output.note(f"{_count(len(files), 'file')}, {_count(len(bots), 'bot')}, {faults}")

    data = {"files": len(files), "bots": bots, "problems": [p.as_dict() for p in problems]}
    obj.output.result(data, show)
    if problems:
        ctx.exit(FAILED)


@click.command()
@json_option
@_PATHS
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if something would be.")
@click.option("--diff", is_flag=True, help="Change nothing; show what would be.")
@pass_context
@click.pass_context
def fmt(
    ctx: click.Context, obj: Context, paths: tuple[Path, ...], check: bool, diff: bool
) -> None:
    """Bring bot files into their usual shape; comments stay, and so does what they mean."""
    from codex32.engine.reading.format import format_text

    changed: list[str] = []
    for path in bot_files(obj, paths):
        before = path.read_text(encoding="utf-8")
        after = format_text(before)
        if after == before:
            continue
        changed.append(str(path))
        if diff and not obj.json:
            _show_diff(obj, path, before, after)
        elif not check:
            path.write_text(after, encoding="utf-8")
        if not diff:
            obj.output.note(f"{'would change' if check else 'changed'} {path}")
    if obj.json:
        obj.output.document({"changed": changed})
    if changed and check:
        ctx.exit(FAILED)


@click.command()
@json_option
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write to this file instead of printing.",
)
@pass_context
def schema(obj: Context, target: Path | None) -> None:
    """Print the JSON Schema of bot files, with the installed plugins; editors complete with it."""
    text = schema_text(obj)
    if target is None:
        print(text, file=obj.output.stdout)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n", encoding="utf-8")
        obj.output.note(f"wrote {target}")


def schema_text(obj: Context) -> str:
    """The schema of bot files as JSON text."""
    from codex32.engine.reading.schema import bot_schema

    return json.dumps(bot_schema(obj.plugins.components), indent=2, ensure_ascii=False)


def read_all(obj: Context, files: Sequence[Path]) -> tuple[dict[Path, Reading], list[Any]]:
    """What bot files say, and all faults of theirs, also those that they have together."""
    from codex32.engine.reading.definition import Reader

    reader = Reader(obj.plugins.components, [obj.plugins.check_bot])
    readings = {path: reader.read_path(path) for path in files}
    problems = [problem for each in readings.values() for problem in each.problems]
    return readings, problems + doubled(readings)


def bot_files(obj: Context, paths: Sequence[Path]) -> list[Path]:
    """The bot files among ``paths`` and below the folders among them.

    Raises:
      CommandFailed: A folder of the settings is not there.
    """
    found: dict[Path, None] = {}
    for path in paths or [_shorter(each) for each in obj.settings.bots.folders]:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if _is_bot(each, path))
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            raise CommandFailed(f"{path} is not there; name files, or begin with: codex32 init")
    return list(found)


def _is_bot(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix in (".yaml", ".yml") and not hidden and path.is_file()


def _shorter(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def doubled(readings: dict[Path, Reading]) -> list[Any]:
    """A problem for each bot that two files hold."""
    from codex32.kernel.problems import Problem

    first: dict[str, Path] = {}
    problems = []
    for path, reading in readings.items():
        for bot in reading.bots:
            if bot.name in first and first[bot.name] != path:
                message = f"{first[bot.name]} already holds a bot called {bot.name!r}; rename one"
                problems.append(Problem(message, path="name", file=str(path), code="duplicate"))
            first.setdefault(bot.name, path)
    return problems


def strays(readings: dict[Path, Reading]) -> list[str]:
    """What to say of alerts about bots that none of the files holds: perhaps the API does."""
    from codex32.kernel.text import did_you_mean

    names = {bot.name for reading in readings.values() for bot in reading.bots}
    return [
        f"{path}: the alert {alert.name} is about {name!r}, which none of these files holds"
        f"{did_you_mean(name, names)}"
        for path, reading in readings.items()
        for bot in reading.bots
        for alert in bot.alerts
        for name in alert.bots
        if "*" not in name and name not in names
    ]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _show_diff(obj: Context, path: Path, before: str, after: str) -> None:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), f"{path} (formatted)", lineterm=""
    ):
        obj.output.line(line, styles.get(line[0]))
