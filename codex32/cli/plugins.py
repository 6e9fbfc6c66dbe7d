"""``codex32 plugins``: what is installed, what failed and why; new ones, and whether they hold."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group
from codex32.cli.plugin_writing import KINDS, NameRefused, contents, package_of, plain_name, write
from codex32.kernel.discovery import find
from codex32.kernel.text import did_you_mean

if TYPE_CHECKING:
    from codex32.kernel.plugins import PluginRecord

#: What every new plugin is tested with, also where it is not installed yet.
_KIT = "testing"
_COUNTED = {s: s for s in ("passed", "failed", "skipped")} | {"unchecked": "not checked"}


@click.group(cls=Group, invoke_without_command=True)
@json_option
@pass_context
@click.pass_context
def plugins(ctx: click.Context, obj: Context) -> None:
    """List the installed plugins: what they offer, which failed and why."""
    if ctx.invoked_subcommand is not None:
        return
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


class _Kind(click.Choice[str]):
    """One of the kinds; what is nearly one is told which."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as refused:
            told = f"{refused.message}{did_you_mean(value, list(KINDS))}"
            raise click.BadParameter(told, ctx, param) from None


@plugins.command("new")
@json_option
@click.argument("name", metavar="NAME")
@click.option("--kind", type=_Kind(list(KINDS)), required=True, help="What it shall offer.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The new folder; codex32-NAME where you stand by default.",
)
@pass_context
def new(obj: Context, name: str, kind: str, into: Path | None) -> None:
    """Write a plugin that works: package, tests of its contract that pass, README and CI."""
    try:
        plain = plain_name(name)
    except NameRefused as refused:
        raise click.BadParameter(str(refused), param_hint="NAME") from None
    if plain in {each.name for each in find("codex32", ())}:
        raise click.BadParameter(
            f"a plugin {plain!r} is installed, and of two of a name one is left out; "
            "choose another",
            param_hint="NAME",
        )
    package = package_of(plain)
    if plain == _KIT or find_spec(package) is not None:
        raise click.BadParameter(
            f"a package {package} is there already, and one of the two would hide the other; "
            "choose another",
            param_hint="NAME",
        )
    folder = into or Path(f"codex32-{plain}")
    texts = contents(plain, kind)
    try:
        write(folder, texts)
    except FileExistsError as error:
        raise click.UsageError(f"{error}; name another folder with --into") from None
    data = {"name": plain, "kind": kind, "folder": str(folder), "files": sorted(texts)}

    def show() -> None:
        obj.output.line(f"wrote {len(texts)} files into {folder}")
        obj.output.line(f"next: cd {folder} && pip install -e '.[test]' && pytest")

    obj.output.result(data, show)


@plugins.command("check")
@json_option
@click.argument("package", metavar="PACKAGE")
@click.option("--live", is_flag=True, help="Also reach the services it speaks to; may cost money.")
@click.option("--target", default="", metavar="TARGET", help="Where a notifier may send to.")
@pass_context
@click.pass_context
def check(ctx: click.Context, obj: Context, package: str, live: bool, target: str) -> None:
    """Hold an installed plugin to the contracts of what it offers, and report.

    PACKAGE is the plugin's name or its distribution's. The suites of codex32-testing run as far as
    they need nothing that only the author knows; its own tests hold it to the rest.

    The exit code is 1 where something failed, and 4 where nothing did but not all could be
    checked, since a setting is missing.
    """
    if find_spec("codex32_testing") is None:
        raise click.UsageError(
            "the suites are not installed; run: pip install codex32-testing "
            "(into the environment of codex32)"
        )
    plain = package.lower().replace("_", "-")
    found = [each.name for each in find("codex32", ()) if plain in (each.name, each.distribution)]
    config = obj.settings.plugins.get(found[0] if found else plain) or {}
    asked = {"plugin": package, "config": dict(config), "live": live, "target": target}
    answer = subprocess.run(
        [sys.executable, "-m", "codex32_testing.check"],
        input=json.dumps(asked, default=str),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report = json.loads(answer.stdout)
    except ValueError:
        last = answer.stderr.strip().rpartition("\n")[2]
        raise click.ClickException(f"the check itself failed: {last}") from None
    if "error" in report:
        raise click.UsageError(report["error"])
    obj.output.result(report, lambda: _show(obj, report))
    ctx.exit(report["exit_code"])


def _show(obj: Context, report: dict[str, Any]) -> None:
    rows = [(c["status"], c["subject"], c["name"], c["detail"]) for c in report["checks"]]
    obj.output.table(("", "what", "holds that", "because"), rows, "nothing was looked at")
    counts = Counter(row[0] for row in rows)
    told = ", ".join(f"{counts[s]} {word}" for s, word in _COUNTED.items() if counts[s])
    obj.output.line(f"{report['distribution']} {report['version']}: {told}")
    for missing in dict.fromkeys(row[3] for row in rows if row[0] == "unchecked"):
        obj.output.line(f"not checked: {missing}")


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
