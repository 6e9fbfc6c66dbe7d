"""``codex32 build save``: a draft as files, for folders that apply themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex32.cli import build_session
from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.failures import CommandFailed

if TYPE_CHECKING:
    from codex32.runtime import Runtime
    from codex32.services.building.builder import Builder


@click.command()
@json_option
@workspace_option
@click.argument("session_id", metavar="SESSION")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Write over what stands there.")
@pass_context
def save(obj: Context, session_id: str, path: Path, force: bool, workspace: str) -> None:
    """Write the draft of a session to FILE, or below it where it is a folder.

    In a folder that is watched it is live at once: so a draft for a bot that a file owns is
    accepted. pytest for its Python is written beside it. Where somebody changed the bot since the
    session began, both changes are in it; run: codex32 test FILE
    """
    from codex32.services.building import sessions
    from codex32.services.cases.python_tests import python_test_file

    async def look(runtime: Runtime, builder: Builder) -> dict[str, Any]:
        session = await runtime.door.read(sessions.get, session_id, workspace)
        return await build_session.draft_of(runtime, session)

    draft = build_session.do(obj, look)
    target = path / f"{draft['name']}.yaml" if path.is_dir() else path
    texts = {target: draft["yaml"]}
    if draft["python"]:
        texts[target.with_name(python_test_file(target.name))] = draft["python"]
    there = [each for each in texts if each.exists() and each.read_text("utf-8") != texts[each]]
    if there and not force:
        message = f"{there[0]} is there already; nothing was written. See --force"
        raise CommandFailed(message, "exists")
    for each, text in texts.items():
        whole = each.with_name(f".{each.name}.new")  # a watched folder must not see half of it
        whole.write_text(text, encoding="utf-8")
        whole.replace(each)
    files = [str(each) for each in texts]

    def show() -> None:
        for each in files:
            obj.output.line(f"wrote {each}")

    obj.output.result({"session": session_id, "bot": draft["name"], "files": files}, show)
