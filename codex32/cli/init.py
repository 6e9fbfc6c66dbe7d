"""``codex32 init``: a new project folder with a first bot."""

from __future__ import annotations

from pathlib import Path

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.failures import CommandFailed

_SETTINGS = """\
# Settings of this project; `codex32 config show` lists all of them with their values.
bots:
  folders: [bots]
"""
_BOT = """\
# yaml-language-server: $schema=../.codex32/bot.schema.json
name: hello
description: Says hello, every minute and whenever somebody asks.
triggers:
  - every: 1m
inputs:
  who: {type: string, default: world}
steps:
  - id: greeting
    type: set
    with:
      values: {text: "Hello, ${{ inputs.who }}!"}
  - id: tell
    type: notify
    with: {to: log, text: "${{ steps.greeting.output.text }}"}
output: "${{ steps.greeting.output.text }}"
"""
_FILES = {"codex32.yaml": _SETTINGS, "bots/hello.yaml": _BOT, ".gitignore": ".codex32/\n"}
_SCHEMA = ".codex32/bot.schema.json"


@click.command()
@json_option
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@pass_context
def init(obj: Context, folder: Path) -> None:
    """Make a project in DIR (default: here): settings and a first bot. Overwrites nothing."""
    from codex32.cli.files import schema_text

    there = [name for name in _FILES if name != ".gitignore" and (folder / name).exists()]
    if there:
        raise CommandFailed(f"{folder / there[0]} is there already; nothing was written", "exists")
    files = {**_FILES, _SCHEMA: schema_text(obj) + "\n"}
    made = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and name == ".gitignore":
            continue  # a repository has its own, and says itself what it leaves out
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        made.append(str(path))

    def show() -> None:
        for name in made:
            obj.output.line(f"made {name}")
        enter = "" if folder == Path() else f"cd {folder} && "
        obj.output.note(f"next: {enter}codex32 run hello, or everything at once: codex32 up")

    obj.output.result({"made": made}, show)
