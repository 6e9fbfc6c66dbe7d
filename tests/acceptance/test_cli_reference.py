"""The reference holds the help of every command; ``python tests/acceptance/test_cli_reference.py``
writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from codex32.cli.main import COMMANDS, cli

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
HEADING = "## All commands\n"
#: Commands of the house's own wings; what else is installed is not ours to describe.
WINGS = ("serve", "scheduler", "worker")


def commands(ctx: click.Context, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each command's path and help."""
    group = ctx.command
    assert isinstance(group, click.Group)
    for name in names:
        command = group.get_command(ctx, name)
        assert command is not None, f"no command is called {name}"
        path = f"{ctx.command_path} {name}"
        below = click.Context(command, info_name=name, parent=ctx, terminal_width=96)
        yield path, command.get_help(below)
        if isinstance(command, click.Group):
            yield from commands(below, tuple(command.list_commands(below)))


def generated() -> str:
    root = click.Context(cli, info_name="codex32", terminal_width=96, **cli.context_settings)
    told = [
        f"### `{path}`\n\n```text\n{text}\n```\n"
        for path, text in commands(root, (*COMMANDS, *WINGS))
    ]
    return "\n".join(["", *told])


def test_the_reference_is_what_the_commands_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = page.partition(HEADING)[2]
    assert told == generated(), f"write it anew: python {Path(__file__).relative_to(Path.cwd())}"


def test_every_command_and_option_says_what_it_does() -> None:
    root = click.Context(cli, info_name="codex32", **cli.context_settings)
    for path, text in commands(root, tuple(COMMANDS)):
        assert text.partition("\n\n")[2].strip(), f"{path} has no help"
        listed = text.partition("\nCommands:\n")[2].splitlines()
        assert not [line for line in listed if line.endswith("...")], f"{path} cuts sentences"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.partition(HEADING)[0] + HEADING + generated(), encoding="utf-8")
