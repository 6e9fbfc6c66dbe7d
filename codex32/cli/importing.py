"""``codex32 import``: taking over what was there before Codex-32."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.failures import FAILED
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.services.former.taking import Report

#: Entries that are stored in one write.
_GROUP = 100
_STYLES = {"taken": "green", "there": "dim", "changed": "yellow", "refused": "red"}


@click.group("import", cls=Group)
def import_() -> None:
    """Take over bots of a former installation."""


@import_.command()
@json_option
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--apply", "really", is_flag=True, help="Do it; without this it is only told.")
@workspace_option
@click.option("--live", is_flag=True, help="Let triggers start new bots at once.")
@pass_context
@click.pass_context
def registry(
    ctx: click.Context, obj: Context, path: Path, really: bool, workspace: str, live: bool
) -> None:
    """Take over codex32_registry.json and the code in bots/NAME/bot.py.

    PATH is the former installation's folder. Its code is read and never executed. New bots are
    paused until somebody resumes them, so that nothing is done twice while both run. It can be
    repeated: what was taken is there, what changed is a new version. Exit code 1 where an entry
    was refused.
    """
    from codex32.services.former.taking import Takeover

    with obj.runtime() as runtime:
        takeover = Takeover(
            path, runtime.reader, runtime.registry, obj.caller(workspace), workspace
        )
        report = runtime.door.read_now(takeover.look)
        if really:
            for start in range(0, len(report.entries), _GROUP):
                part = report.entries[start : start + _GROUP]
                now = runtime.clock.micros()
                runtime.door.write_now(partial(takeover.carry_out, part, now, live=live))
            runtime.door.read_now(takeover.verify, report)
    data = {"applied": really, **report.as_dict()}
    obj.output.result(data, lambda: _show(obj, report, really))
    if report.count("refused") or report.differing:
        ctx.exit(FAILED)


def _show(obj: Context, report: Report, really: bool) -> None:
    for item in report.entries:
        entry = item.entry
        where = f"  {entry.file}  {item.digest[:12]}" if entry.file and item.digest else ""
        why = f"  {entry.refused}" if entry.refused else ""
        line = f"{item.outcome:8}{entry.name or entry.called}{where}{why}"
        obj.output.line(line, _STYLES[item.outcome])
        for note in entry.notes:
            obj.output.line(f"        {note}")
    for path in report.unlisted:
        obj.output.line(f"unlisted {path}: the registry does not name it", "yellow")
    for name in report.differing:
        obj.output.line(f"differs  {name}: what is stored is not what lies there", "red")
    counts = ", ".join(f"{number} {each}" for each, number in report.as_dict()["counts"].items())
    equal = len(report.entries) - report.count("refused") - len(report.differing)
    obj.output.line(f"{len(report.entries)} entries: {counts}")
    if really:
        obj.output.line(f"{equal} compared with their files: equal")
    else:
        obj.output.note("nothing was changed; do it with --apply")
