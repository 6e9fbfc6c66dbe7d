"""``codex32 packages``: what was installed for Python steps, and making room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.outside.packages.shelf import Kept

_MIB = 1024 * 1024


@click.group(cls=Group)
def packages() -> None:
    """Look after the packages that Python steps require, on this machine."""


@packages.command("list")
@json_option
@pass_context
def list_(obj: Context) -> None:
    """List environments of packages, used last first."""
    from codex32.sandboxing import package_shelf

    shelf = package_shelf(obj.settings)
    kept = shelf.listing()

    def show() -> None:
        obj.output.table(
            ("digest", "requires", "packages", "MiB", "last used"),
            _rows(kept),
            "no Python step has required packages here",
        )

    obj.output.result(
        {"folder": str(shelf.folder), "environments": [_as_dict(each) for each in kept]}, show
    )


@packages.command()
@json_option
@click.option(
    "--unused-days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="What no step used for so long [packages.keep_days].",
)
@click.option(
    "--max-mib",
    type=click.FloatRange(0),
    metavar="MIB",
    help="What was not used for longest, until the rest fits [packages.max_mib].",
)
@click.option("--all", "every", is_flag=True, help="Everything that no step uses now.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@pass_context
def prune(
    obj: Context, unused_days: float | None, max_mib: float | None, every: bool, dry_run: bool
) -> None:
    """Remove environments that no step uses now; what they were resolved to stays locked.

    A step that requires one later gets the same versions again.
    """
    from codex32.sandboxing import package_rules, package_shelf

    rules = package_rules(obj.settings)
    if unused_days is None and max_mib is None:
        unused_days, max_mib = rules.keep_days, rules.max_mib
    gone = package_shelf(obj.settings).prune(
        older_than_days=0.0 if every else unused_days, max_mib=max_mib, dry_run=dry_run
    )

    def show() -> None:
        verb = "would be removed" if dry_run else "removed"
        for each in gone:
            obj.output.line(f"{each.digest[:12]} {', '.join(each.requires)} {verb}")
        freed = sum(each.bytes for each in gone) // _MIB
        obj.output.note(f"{freed:,} MiB" if gone else "there is nothing to remove")

    told = [_as_dict(each) for each in gone]
    obj.output.result({"chosen": told, "removed": [] if dry_run else told}, show)


def _rows(kept: Sequence[Kept]) -> list[tuple[object, ...]]:
    from codex32.cli.follow import clock_text

    return [
        (
            each.digest[:12],
            ", ".join(each.requires),
            len(each.packages),
            f"{each.bytes / _MIB:.1f}",
            clock_text(int(each.used_at * 1e6)),
        )
        for each in kept
    ]


def _as_dict(kept: Kept) -> dict[str, Any]:
    used = datetime.fromtimestamp(kept.used_at, UTC).isoformat(timespec="seconds")
    return {**asdict(kept), "used_at": used}
