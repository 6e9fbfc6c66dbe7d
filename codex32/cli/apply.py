"""``codex32 apply``: brings a server elsewhere to what a folder here says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex32.cli import plan
from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.failures import FAILED, CommandFailed

if TYPE_CHECKING:
    from codex32.cli.differences import Difference, Entry, Server


@click.command()
@json_option
@plan.PATHS
@plan.SERVER
@plan.WORKSPACE
@plan.PRUNE
@click.option("--keep-going", is_flag=True, help="Also where files have faults: without these.")
@click.option("--message", default="", metavar="TEXT", help="Kept with the new versions.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
@click.pass_context
def apply(
    ctx: click.Context,
    obj: Context,
    paths: tuple[Path, ...],
    server: str | None,
    workspace: str | None,
    prune: bool,
    keep_going: bool,
    message: str,
    yes: bool,
) -> None:
    """Make a server elsewhere have the bots of a folder here; `codex32 plan` shows it first.

    What somebody changed there since the plan was made is left alone and told. Applying twice
    changes nothing. Exit code 1 where something could not be done.
    """
    from codex32.cli.credentials import server_and_token
    from codex32.cli.differences import Server, compare

    url, token = server_and_token(obj, server)
    there = Server(url, token, workspace)
    found = compare(obj, there, paths, prune=prune)
    if not obj.json:
        plan.show(obj, found)
    if found.problems and not keep_going:
        raise CommandFailed(
            f"{len(found.problems)} faults; mend them, or leave their bots out with --keep-going",
            "bot-invalid",
            FAILED,
        )
    if found.work and not yes:
        click.confirm(f"Do this on {url}?", abort=True, err=True)
    results = [_done(obj, there, each, message) for each in found.work]
    _tell(obj, url, found, results)
    refused = found.count("refused") or any(each["error"] for each in results)
    if refused or found.problems:
        ctx.exit(FAILED)


def _done(obj: Context, there: Server, entry: Entry, message: str) -> dict[str, Any]:
    """Carry out an entry; what came of it."""
    told: dict[str, Any] = {"name": entry.name, "action": entry.action}
    try:
        answer = there.carry_out(entry, message)
    except CommandFailed as error:
        obj.output.note(f"{entry.name}: {error.message}")
        return {**told, "version": None, "waiting": False, "error": error.code}
    waiting = answer.get("change") == "waiting"
    return {**told, "version": answer.get("version"), "waiting": waiting, "error": None}


def _tell(obj: Context, url: str, found: Difference, results: list[dict[str, Any]]) -> None:
    def show() -> None:
        for each in results:
            if each["waiting"]:
                told = f"version {each['version']} of {each['name']} waits for approval"
                obj.output.line(told, "yellow")
        done = sum(not each["error"] for each in results)
        obj.output.line(f"{done} of {len(results)} done" if results else "nothing to do")

    obj.output.result({**plan.as_dict(url, found), "results": results}, show)
