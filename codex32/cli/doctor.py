"""``codex32 doctor``: whether everything is as it must be, and what to do where it is not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.failures import FAILED

if TYPE_CHECKING:
    from codex32.cli.finding import Finding


@click.command()
@json_option
@pass_context
@click.pass_context
def doctor(ctx: click.Context, obj: Context) -> None:
    """Look whether everything is in order; exit code 1 where something is not.

    Each line says ok, warn or fail, and what to do.
    """
    from codex32.cli.checkup import examine

    found = examine(obj)

    def show() -> None:
        obj.output.table(
            ("check", "state", "what"), [(f.name, f.state, _told(f)) for f in found], ""
        )

    obj.output.result({"checks": [asdict(each) for each in found]}, show)
    if any(each.state == "fail" for each in found):
        ctx.exit(FAILED)


def _told(finding: Finding) -> str:
    return f"{finding.detail}; {finding.remedy}" if finding.remedy else finding.detail
