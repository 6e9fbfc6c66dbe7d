"""``codex32 plugins``: what is installed, what it offers, what failed and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context

if TYPE_CHECKING:
    from codex32.kernel.plugins import PluginRecord


@click.command()
@json_option
@pass_context
def plugins(obj: Context) -> None:
    """List the installed plugins: what they offer, which failed and why."""
    from codex32.cli.main import foreign_commands

    # Routes and commands are judged only when somebody asks for them.
    foreign_commands(obj)
    obj.plugins.api_routes()
    records = obj.plugins.records
    obj.output.result(
        {"plugins": [_as_json(each) for each in records]},
        lambda: obj.output.table(
            ("plugin", "distribution", "version", "state", "offers"),
            [(r.name, r.distribution, r.version, r.state, _offers(r)) for r in records],
            "no plugin is installed; reinstall codex32",
        ),
    )


def _as_json(record: PluginRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "state": record.state,
        "reason": record.reason,
        "offers": {kind: list(names) for kind, names in record.offers.items()},
        "hooks": list(record.hooks),
    }


def _offers(record: PluginRecord) -> str:
    if record.reason:
        return record.reason
    told = [f"{kind.replace('_', ' ')}: {', '.join(n)}" for kind, n in record.offers.items() if n]
    words = {"register_cli_commands": "commands", "register_api_routes": "routes"}
    told += [word for hook, word in words.items() if hook in record.hooks]
    return "; ".join(told)
