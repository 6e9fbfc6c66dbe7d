"""``codex32 config``: the settings, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group


@click.group(cls=Group)
def config() -> None:
    """Look at the settings."""


@config.command()
@json_option
@click.argument("prefix", default="", metavar="[NAME]")
@pass_context
def show(obj: Context, prefix: str) -> None:
    """Show every setting with its value and where it comes from; secrets are masked.

    NAME shows that setting alone, or those below it: worker, worker.processes.
    """
    flat = [
        (name, value, obj.settings.where(name))
        for name, value in _flat(obj.settings.redacted())
        if not prefix or name == prefix or name.startswith(f"{prefix}.")
    ]
    if not flat:
        from codex32.cli.failures import CommandFailed
        from codex32.kernel.text import did_you_mean

        known = [name for name, _ in _flat(obj.settings.redacted())]
        raise CommandFailed(f"no setting is called {prefix!r}{did_you_mean(prefix, known)}")
    obj.output.result(
        {"settings": {name: {"value": value, "from": place} for name, value, place in flat}},
        lambda: obj.output.table(
            ("setting", "value", "from"),
            [(name, _shown(value), place) for name, value, place in flat],
            "",
        ),
    )


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
