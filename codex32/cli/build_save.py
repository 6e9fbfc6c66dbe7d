"""``codex32 build save``: a draft as files, for folders that apply themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from codex32.cli import build_session
from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.failures import CommandFailed
from codex32.cli.files import bot_files

if TYPE_CHECKING:
    from codex32.engine.reading.definition import Reader
    from codex32.runtime import Runtime
    from codex32.services.building.builder import Builder
    from codex32.services.building.outcome import Saved


@click.command()
@json_option
@workspace_option
@click.argument("session_id", metavar="SESSION")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Change what stands there.")
@pass_context
def save(obj: Context, session_id: str, path: Path, force: bool, workspace: str) -> None:
    """Write the draft of a session to FILE, or below it where it is a folder.

    In a folder that is watched it is live at once: so a draft for a bot that a file owns is
    accepted. pytest for its Python is written beside it. Where somebody changed the bot or its
    file since the session began, both changes are in it, and what both changed stays as it is
    there; run: codex32 test FILE
    """
    from codex32.cli import build_view
    from codex32.services.building import sessions
    from codex32.services.building.outcome import draft_of, saved
    from codex32.services.cases.python_tests import python_test_file

    async def look(runtime: Runtime, builder: Builder) -> tuple[str, Path, Saved]:
        session = await runtime.door.read(sessions.get, session_id, workspace)
        name = draft_of(session, runtime.reader).name
        target = _target(obj, path, name, runtime.reader)
        python = target.with_name(python_test_file(target.name))
        made = await runtime.door.read(saved, session, runtime.reader, target, python)
        return name, target, made

    name, target, made = build_session.do(obj, look)
    texts = {target: made.text}
    if made.python:
        texts[target.with_name(python_test_file(target.name))] = made.python
    there = [each for each in texts if each.exists() and each.read_text("utf-8") != texts[each]]
    if there and not force:
        message = f"{there[0]} is there already; nothing was written. See --force"
        raise CommandFailed(message, "exists")
    for each, text in texts.items():
        whole = each.with_name(f".{each.name}.new")  # a watched folder must not see half of it
        whole.write_text(text, encoding="utf-8")
        whole.replace(each)
    files = [str(each) for each in texts]

    conflicts = [each.as_dict() for each in made.conflicts]

    def show() -> None:
        for each in files:
            obj.output.line(f"wrote {each}")
        for conflict in conflicts:
            build_view.conflict(obj.output, conflict)

    told = {"session": session_id, "bot": name, "files": files, "conflicts": conflicts}
    obj.output.result(told, show)


def _target(obj: Context, path: Path, name: str, reader: Reader) -> Path:
    """The file that is meant; in a folder the one in which the bot stands."""
    if not path.is_dir():
        return path
    for file in bot_files(obj, [path]):
        if name in (bot.name for bot in reader.read_path(file).bots):
            return file
    return path / f"{name}.yaml"
