"""``codex32``: the root of the command line. A command's module is imported when it is used."""

from __future__ import annotations

import importlib
import io
import keyword
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from codex32.cli import failures
from codex32.cli.context import Context
from codex32.cli.groups import Group
from codex32.kernel.redaction import ScrubbingFormatter

#: The commands of the house, in the order of the help, and the module that holds each.
COMMANDS: Mapping[str, str] = {
    "init": "init",
    "up": "up",
    "top": "top",
    "run": "run",
    "validate": "files",
    "test": "testing",
    "fmt": "files",
    "schema": "files",
    "plan": "plan",
    "apply": "apply",
    "import": "importing",
    "build": "build",
    "bots": "bots",
    "executions": "executions",
    "dead-letters": "dead_letters",
    "schedules": "schedules",
    "approvals": "approvals",
    "alerts": "alerts",
    "events": "events",
    "hooks": "hooks",
    "webhooks": "webhooks",
    "secrets": "secrets",
    "collections": "collections",
    "connections": "connections",
    "audit": "audit",
    "export": "export",
    "why": "why",
    "limits": "limits",
    "usage": "usage",
    "models": "usage",
    "mcp": "mcp",
    "login": "login",
    "logout": "login",
    "whoami": "login",
    "users": "users",
    "workspaces": "workspaces",
    "keys": "keys",
    "packages": "packages",
    "plugins": "plugins",
    "db": "db",
    "config": "config",
    "doctor": "doctor",
    "completion": "completion",
}


class Root(Group):
    """The house's commands, and behind them those of plugins."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options of the root, and make what all commands are given.

        It must be there before a command is looked up, for plugins may have it.
        """
        rest = super().parse_args(ctx, args)
        given = ctx.params
        ctx.obj = Context(
            given["folder"],
            # A file named here is meant from where one stands, wherever the project is.
            [Path.cwd() / each for each in given["files"]],
            json=given["as_json"],
            debug=given["debug"],
        )
        return rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names: the house's in their order, then the plugins'."""
        return [*COMMANDS, *sorted(self._foreign(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name; plugins are loaded only for a name that is not the house's."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"codex32.cli.{COMMANDS[cmd_name]}")
            name = cmd_name.replace("-", "_")
            name += "_" * keyword.iskeyword(name)
            return getattr(module, name)  # type: ignore[no-any-return]
        return self._foreign(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a name that is not there."""
        obj = ctx.find_object(Context)
        if args and args[0] not in COMMANDS and obj is not None:
            # Plugins' commands are mostly services.
            from codex32.cli.logs import speak_as_set

            speak_as_set(obj.settings)
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from codex32.kernel.text import did_you_mean

            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"no command is called {args[0]!r}{hint}", ctx) from error

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; what it returns is of no interest, only how it exits."""
        super().invoke(ctx)

    def _foreign(self, ctx: click.Context) -> Mapping[str, click.Command]:
        # ``--help`` asks before the options were read.
        obj = ctx.ensure_object(Context)
        try:
            return foreign_commands(obj)
        except ValueError as error:
            if type(error).__name__ != "SettingsError":
                raise
            # Help must help, above all where the settings are wrong.
            print(f"warning: commands of plugins are not listed: {error}", file=sys.stderr)
            return {}


def foreign_commands(obj: Context) -> Mapping[str, click.Command]:
    """The commands that plugins add; a plugin that takes a name of the house's adds none."""
    found: dict[str, click.Command] | None = obj.__dict__.get("_foreign")
    if found is None:
        group = click.Group(commands={name: click.Command(name) for name in COMMANDS})
        obj.plugins.cli_commands(group)
        found = {name: each for name, each in group.commands.items() if name not in COMMANDS}
        obj.__dict__["_foreign"] = found
    return found


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"codex32 {version('codex32')}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings file instead of codex32.yaml; may be repeated, later ones win.",
)
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The project folder, instead of the present one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--debug", is_flag=True, help="Show where a fault happened.")
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
def cli(**_options: Any) -> None:
    """Bots are files; Codex-32 runs them so that nothing is lost."""


def main(args: Sequence[str] | None = None) -> None:
    """The entry point of the command ``codex32``."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: Sequence[str]) -> int:
    """Carry out a command line; its exit code. No error leaves it."""
    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(ScrubbingFormatter("%(levelname)s %(name)s: %(message)s"))
    for stream in (sys.stdout, sys.stderr):
        # What bots put out may hold what no encoding has; it is shown as an escape.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = args[: args.index("--")] if "--" in args else args
    try:
        code = cli.main(list(args), prog_name="codex32", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has gone; Python must not complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failures.FAILED
    except (click.Abort, KeyboardInterrupt):
        return failures.INTERRUPTED
    except SystemExit as stop:
        return _exit_code(stop.code)
    except Exception as error:
        return failures.report(error, as_json="--json" in given, debug="--debug" in given)
    return code if isinstance(code, int) else failures.OK


def _exit_code(code: Any) -> int:
    return code if isinstance(code, int) else failures.OK if code is None else failures.FAILED
