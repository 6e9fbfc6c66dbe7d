"""``codex32 db``: the database's tables."""

from __future__ import annotations

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.failures import FAILED
from codex32.cli.groups import Group


@click.group(cls=Group)
def db() -> None:
    """Look after the database."""


@db.command()
@json_option
@pass_context
def upgrade(obj: Context) -> None:
    """Apply the migrations that the database lacks; safe to repeat, and from many machines."""
    from codex32.tables import upgrade_schema

    applied = upgrade_schema(obj.settings, obj.plugins)

    def show() -> None:
        for name in applied:
            obj.output.line(f"applied {name}")
        if not applied:
            obj.output.line("the database is up to date")

    obj.output.result({"applied": applied}, show)


@db.command()
@json_option
@pass_context
@click.pass_context
def status(ctx: click.Context, obj: Context) -> None:
    """List the migrations; exit code 1 where the database lacks one."""
    from codex32.tables import schema_status

    found = schema_status(obj.settings, obj.plugins)
    obj.output.result(
        {
            "migrations": [
                {"source": each.source, "name": each.name, "applied": each.applied}
                for each in found
            ]
        },
        lambda: obj.output.table(
            ("migration", "applied"), [(f"{m.source}/{m.name}", m.applied) for m in found], ""
        ),
    )
    if not all(each.applied for each in found):
        obj.output.note("run: codex32 db upgrade")
        ctx.exit(FAILED)


@db.command()
@json_option
@pass_context
@click.pass_context
def check(ctx: click.Context, obj: Context) -> None:
    """Look for rows that contradict each other; exit code 1 where there are some."""
    from codex32.services.upkeep import integrity

    with obj.runtime() as runtime:
        problems = runtime.door.read_now(integrity.check, runtime.clock.micros())

    def show() -> None:
        for problem in problems:
            obj.output.line(str(problem))
        if not problems:
            obj.output.line("every row is where it belongs")

    obj.output.result({"problems": [each.as_dict() for each in problems]}, show)
    if problems:
        ctx.exit(FAILED)
