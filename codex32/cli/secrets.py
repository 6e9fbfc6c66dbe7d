"""``codex32 secrets``: what bots may know and nobody else."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.kernel.problems import Problem
    from codex32.runtime import Runtime

_NAME = click.argument("name", metavar="NAME")


@click.group(cls=Group)
def secrets() -> None:
    """Give bots secrets, and look after the keys they are sealed with.

    No command and no route shows a value again.
    """


@secrets.command("set")
@json_option
@workspace_option
@_NAME
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Take the value from this file, without the newline at its end.",
)
@pass_context
def set_(obj: Context, name: str, file: Path | None, workspace: str) -> None:
    """Give a secret its value; steps that ask for it from now on get it.

    The value is asked for, or read from standard input or a file: on the command line everybody
    on this machine could see it.
    """
    from codex32.kernel.masking import SHORTEST
    from codex32.services.access import workspaces
    from codex32.services.safe import secrets as service

    value = _value(name, file)
    with obj.runtime() as runtime:
        runtime.door.read_now(workspaces.get, workspace)
        now, caller = runtime.clock.micros(), obj.caller(workspace)
        work = partial(service.write, runtime.vault, name, value, caller, now, workspace=workspace)
        view = runtime.door.write_now(work)
    if len(value) < SHORTEST:
        obj.output.note(f"it is shorter than {SHORTEST} characters, so it cannot be masked")
    told = "is set" if view.version == 1 else f"has its value number {view.version}"
    obj.output.result(view.as_dict(), lambda: obj.output.line(f"{name} {told}"))


@secrets.command("list")
@json_option
@workspace_option
@pass_context
def list_(obj: Context, workspace: str) -> None:
    """List secrets: their names, who set them, which bots may use them."""
    from codex32.services.safe import secrets as service

    with obj.runtime() as runtime:
        read = partial(service.listing, workspace=workspace, limit=100_000)
        found = [view.as_dict() for view in runtime.door.read_now(read)]
    obj.output.result(
        {"secrets": found},
        lambda: obj.output.table(
            ("name", "version", "set", "by", "bots"),
            [
                (each["name"], each["version"], each["updated_at"], each["updated_by"],
                 ", ".join(each["bots"]))
                for each in found
            ],
            "there are no secrets; set one with: codex32 secrets set NAME",
        ),
    )  # fmt: skip


@secrets.command()
@json_option
@workspace_option
@_NAME
@click.option("--yes", is_flag=True, help="Do not ask where bots may use it.")
@click.option("--dry-run", is_flag=True, help="Say which bots may use it, and delete nothing.")
@pass_context
def delete(obj: Context, name: str, workspace: str, yes: bool, dry_run: bool) -> None:
    """Delete a secret; steps that ask for it from now on fail."""
    from codex32.services.safe import secrets as service

    with obj.runtime() as runtime:
        view = runtime.door.read_now(partial(service.get, name, workspace=workspace))
        used = ", ".join(view.bots)
        if used and not (yes or dry_run):
            if obj.json:
                raise click.UsageError(f"{name} is used by {used}; --yes deletes it all the same")
            click.confirm(f"{name} is used by {used}; delete it?", abort=True, err=True)
        now, caller = runtime.clock.micros(), obj.caller(workspace)
        if not dry_run:
            work = partial(service.delete, name, caller, now, workspace=workspace)
            runtime.door.write_now(work)
    told = f"{name} {'would be deleted' if dry_run else 'deleted'}"
    told += f"; used by {used}" if used else ""
    data = {"name": name, "deleted": not dry_run, "bots": list(view.bots)}
    obj.output.result(data, lambda: obj.output.line(told))


@secrets.command()
@json_option
@pass_context
def rotate(obj: Context) -> None:
    """Seal what everything is sealed with by a new key of the installation.

    Where the house keeps its key ring itself, a new key is put first. Where the setting
    secrets.keys holds it, put one first there and restart all processes before. Old keys stay:
    backups of before need them.
    """
    from codex32.services.safe import secrets as service

    with obj.runtime() as runtime:
        source = runtime.vault.source
        runtime.door.read_now(runtime.vault.check)
        ring = source.add() if source.ours else source.ring(make=False)
        work = partial(service.rotate, runtime.vault, obj.caller(), runtime.clock.micros())
        count = runtime.door.write_now(work)
        place = source.path if source.ours else None
    data = {"key": ring.current, "data_keys": count}
    obj.output.result(data, lambda: _tell_rotated(obj, ring.current, count, place))


def _tell_rotated(obj: Context, key: str, count: int, place: Path | None) -> None:
    obj.output.line(f"{count} data keys are sealed with {key} from now on")
    if place is not None:
        obj.output.note(f"back up {place}, and copy it to every machine that runs this house")
    elif not count:
        obj.output.note("to rotate, put a new key first in secrets.keys, and restart everything")


@secrets.command()
@json_option
@pass_context
def rekey(obj: Context) -> None:
    """Seal every secret anew, with new data keys: where an old key may be known to somebody.

    Rotate first. A value that may be known is not safe again by this: set another.
    """
    from codex32.services.safe import secrets as service

    count = 0
    with obj.runtime() as runtime:
        for workspace in runtime.door.read_now(service.workspaces):
            now, caller = runtime.clock.micros(), obj.caller(workspace)
            work = partial(service.rekey, runtime.vault, caller, now, workspace=workspace)
            count += runtime.door.write_now(work)
    data = {"secrets": count}
    obj.output.result(data, lambda: obj.output.line(f"{count} secrets are sealed anew"))


@secrets.command()
@json_option
@workspace_option
@click.pass_context
def check(ctx: click.Context, workspace: str) -> None:
    """Look whether the key ring is whole, every secret opens, and no bot lacks one.

    Exit code 1 where something is amiss.
    """
    obj = ctx.find_object(Context)
    assert obj is not None
    with obj.runtime() as runtime:
        problems = asyncio.run(_problems(runtime, workspace))
    told = [each.as_dict() for each in problems]

    def show() -> None:
        for each in problems:
            obj.output.line(str(each))
        if not problems:
            obj.output.line("every secret opens, and no bot lacks one")

    obj.output.result({"problems": told}, show)
    if problems:
        ctx.exit(failures.FAILED)


async def _problems(runtime: Runtime, workspace: str) -> list[Problem]:
    from codex32.kernel.problems import Problem
    from codex32.services.safe import secrets as service

    await runtime.door.read(runtime.vault.check)
    found = await runtime.door.read(service.check, runtime.vault)
    broken = {each.path for each in found}
    wanted = await runtime.door.read(partial(service.wanted, workspace=workspace))
    for name, bots in sorted(wanted.items()):
        path = f"{workspace}/{name}"
        if path not in broken and await runtime.secrets.secret(workspace, name) is None:
            message = f"no store knows it, and these bots may use it: {', '.join(bots)}"
            found.append(Problem(message, path, code="secret-not-found"))
    return found


def _value(name: str, file: Path | None) -> str:
    if file is not None:
        value = file.read_text(encoding="utf-8")
    elif sys.stdin.isatty():
        value = click.prompt(f"value of {name}", hide_input=True, err=True)
    else:
        value = sys.stdin.read()
    return value.removesuffix("\n").removesuffix("\r")
