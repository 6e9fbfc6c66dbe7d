"""``codex32 plan``: what ``codex32 apply`` would do on a server elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.failures import FAILED

if TYPE_CHECKING:
    from codex32.cli.differences import Difference, Entry

#: Exit code of a plan that would change something.
CHANGES = 2
_SIGNS = {"create": "+", "change": "~", "delete": "-", "only there": "?", "refused": "!"}
_STYLES = {"create": "green", "change": "yellow", "delete": "red", "refused": "red"}
_KINDS = {"added": "green", "removed": "red", "changed": "yellow"}

PATHS = click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]..."
)
SERVER = click.option("--server", metavar="URL", help="https://HOST of the server.")
WORKSPACE = click.option("--workspace", metavar="NAME", help="Whose bots, where you have several.")
PRUNE = click.option("--prune", is_flag=True, help="Delete bots that are only there.")


@click.command()
@json_option
@PATHS
@SERVER
@WORKSPACE
@PRUNE
@pass_context
@click.pass_context
def plan(
    ctx: click.Context,
    obj: Context,
    paths: tuple[Path, ...],
    server: str | None,
    workspace: str | None,
    prune: bool,
) -> None:
    """Show what is other in a folder here than on a server elsewhere; nothing is changed.

    PATH is a bot file or a folder of them; without one, the folders of the settings are meant.
    Exit code 0 where nothing is other, 2 where something is, 1 where files have faults.
    """
    from codex32.cli.credentials import server_and_token
    from codex32.cli.differences import Server, compare

    url, token = server_and_token(obj, server)
    found = compare(obj, Server(url, token, workspace), paths, prune=prune)
    obj.output.result(as_dict(url, found), lambda: show(obj, found))
    if found.problems:
        ctx.exit(FAILED)
    if found.work:
        ctx.exit(CHANGES)


def as_dict(url: str, found: Difference) -> dict[str, Any]:
    """A difference as plain data for JSON output."""
    return {
        "server": url,
        "bots": [each.as_dict() for each in found.entries if each.action != "unchanged"],
        "unchanged": found.count("unchanged"),
        "problems": [each.as_dict() for each in found.problems],
    }


def show(obj: Context, found: Difference) -> None:
    """Print a difference for people."""
    for problem in found.problems:
        obj.output.line(str(problem), "red")
    for entry in found.entries:
        if entry.action != "unchanged":
            _show_entry(obj, entry)
    told = [f"{found.count(a)} to {a}" for a in ("create", "change", "delete") if found.count(a)]
    for action in ("only there", "refused", "unchanged"):
        if count := found.count(action):
            told.append(f"{count} {action}")
    obj.output.note(", ".join(told) or "nothing here, and nothing there")


def _show_entry(obj: Context, entry: Entry) -> None:
    where = f"  {entry.here.file}" if entry.here else ""
    why = f"  {entry.reason}" if entry.reason else ""
    line = f"{_SIGNS[entry.action]} {entry.name}{where}{why}"
    obj.output.line(line, _STYLES.get(entry.action))
    for change in entry.changes:
        obj.output.line(f"    {change}", _KINDS[change.kind])
