"""``codex32 test``: the tests of bot files, with nothing outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.failures import FAILED, report
from codex32.cli.files import bot_files
from codex32.cli.test_run import Wish, try_files

#: Mutants of a bot where nobody says how many; that of the service, which loads more than this.
_MOST = 40
#: Between two looks at what has changed.
_LOOK_MILLISECONDS = 300


@click.command()
@json_option
@workspace_option
@click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]..."
)
@click.option("-k", "only", metavar="TEXT", help="Only tests whose bot or name holds this.")
@click.option("-x", "--exit-first", is_flag=True, help="Stop at the first test that fails.")
@click.option("--coverage", is_flag=True, help="Name the steps and branches no test reached.")
@click.option(
    "--mutants", is_flag=True, help="Put faults into bots, one at a time: do the tests notice?"
)
@click.option(
    "--most", default=_MOST, show_default=True, type=click.IntRange(1, 1000), help="Mutants a bot."
)
@click.option("--seed", default=0, show_default=True, help="Which mutants are chosen.")
@click.option(
    "--least",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Exit code 1 where fewer of a bot's mutants are noticed, or none of its tests notices "
    "that it does nothing.",
)
@click.option(
    "--origin",
    type=click.Choice(["file", "builder"]),
    default="file",
    show_default=True,
    help="Who wrote the bots; a model's Python needs the sandbox that sandbox.model_code wants.",
)
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML here, too."
)
@click.option("--watch", is_flag=True, help="Go on: test again whenever a file changes.")
@click.option("--from", "recorded", metavar="EXECUTION", help="Print a test made from this one.")
@pass_context
@click.pass_context
def test(
    ctx: click.Context,
    obj: Context,
    paths: tuple[Path, ...],
    only: str | None,
    exit_first: bool,
    coverage: bool,
    mutants: bool,
    most: int,
    seed: int,
    least: int | None,
    origin: str,
    junit: Path | None,
    watch: bool,
    recorded: str | None,
    workspace: str,
) -> None:
    """Run the tests of bot files: no network, no models, no effects.

    PATH is a bot file or a folder of them; without one, the folders of the settings are tested.
    What would reach the outside and is not mocked fails its test. Python files test_*.py beside
    the bots are run by pytest, in the sandbox. Exit code 1 where a test fails or a file has
    faults.
    """
    if recorded is not None:
        _print_recorded(obj, recorded, workspace)
        return
    wish = Wish(
        paths=paths,
        only=only,
        exit_first=exit_first,
        coverage=coverage,
        mutants=most if mutants or least is not None else 0,
        seed=seed,
        least=least,
        origin=origin,
        junit=junit,
    )
    passed = True
    for _ in _changes(obj, paths) if watch else (None,):
        passed = _watched(obj, wish) if watch else _once(obj, wish)
    if not passed:
        ctx.exit(FAILED)


def _once(obj: Context, wish: Wish) -> bool:
    from codex32.cli.test_report import Report

    shown = Report(obj.output, coverage=wish.coverage, least=wish.least)
    asyncio.run(try_files(obj, bot_files(obj, wish.paths), wish, shown))
    if wish.junit is not None:
        from codex32.cli.junit import junit_xml

        text = junit_xml(shown.runs, shown.python, shown.faults)
        wish.junit.write_text(text, encoding="utf-8")
    return shown.end()


def _watched(obj: Context, wish: Wish) -> bool:
    """As :func:`_once`; what is not there now, or cannot be read, may be by the next change."""
    from codex32.kernel.errors import Codex32Error

    try:
        return _once(obj, wish)
    except (click.ClickException, Codex32Error, OSError) as error:
        report(error, as_json=obj.output.as_json, debug=False)
        return False


def _changes(obj: Context, paths: Sequence[Path]) -> Iterator[None]:
    """Now, and whenever a file changes from now on."""
    from watchfiles import DefaultFilter, watch

    wanted = [Path(each) for each in paths or obj.settings.bots.folders]
    # Editors put another file in the place of the one that was, which is then watched no more.
    folders = {each if each.is_dir() else each.parent for each in wanted}
    common = DefaultFilter()

    def counts(change: Any, path: str) -> bool:
        return Path(path).suffix in (".yaml", ".yml", ".py") and common(change, path)

    below = any(each.is_dir() for each in wanted)
    # Nothing comes of the first look: by then all is watched, and what changes while the tests
    # run for the first time is seen, too.
    looks = watch(
        *folders,
        watch_filter=counts,
        recursive=below,
        rust_timeout=_LOOK_MILLISECONDS,
        yield_on_timeout=True,
    )
    begun = False
    with suppress(KeyboardInterrupt):
        for changes in looks:
            if begun and not changes:
                continue
            if begun:
                obj.output.note("")
            yield
            if not begun:
                obj.output.note("watching; Ctrl-C stops")
            begun = True


def _print_recorded(obj: Context, execution_id: str, workspace: str) -> None:
    from codex32.engine.reading.writing import yaml_text
    from codex32.services.cases.recorded import recorded_case
    from codex32.services.executions import executions

    with obj.runtime() as runtime:
        read = runtime.door.read_now
        row = read(partial(executions.find, execution_id, workspace=workspace))
        parts = runtime.payloads, runtime.definitions
        case = read(partial(recorded_case, row.id, *parts, workspace=workspace))

    def show() -> None:
        for line in yaml_text({"tests": [case]}).splitlines():
            obj.output.line(line)

    obj.output.result(case, show)
    obj.output.note("put it into the bot's file; add `state` where the bot uses what it remembers")
