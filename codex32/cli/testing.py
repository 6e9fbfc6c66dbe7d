"""``codex32 test``: the tests that stand in bot files, with nothing outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.failures import FAILED
from codex32.cli.files import bot_files

if TYPE_CHECKING:
    from codex32.cli.test_report import Report
    from codex32.kernel.bot import Bot


@dataclass(frozen=True, slots=True)
class _Wish:
    paths: Sequence[Path]
    only: str | None
    exit_first: bool
    coverage: bool
    junit: Path | None


@click.command()
@json_option
@click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]..."
)
@click.option("-k", "only", metavar="TEXT", help="Only tests whose bot or name holds this.")
@click.option("-x", "--exit-first", is_flag=True, help="Stop at the first test that fails.")
@click.option("--coverage", is_flag=True, help="Name the steps and branches no test reached.")
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
    junit: Path | None,
    watch: bool,
    recorded: str | None,
) -> None:
    """Run the tests that stand in bot files: no network, no models, no effects.

    PATH is a bot file or a folder of them; without one, the folders of the settings are tested.
    What would reach the outside and is not mocked fails its test. Exit code 1 where a test fails
    or a file has faults.
    """
    if recorded is not None:
        _print_recorded(obj, recorded)
        return
    wish = _Wish(paths, only, exit_first, coverage, junit)
    passed = _once(obj, wish)
    if watch:
        for _ in _changes(obj, paths):
            passed = _once(obj, wish)
    if not passed:
        ctx.exit(FAILED)


def _once(obj: Context, wish: _Wish) -> bool:
    from codex32.cli.test_report import Report
    from codex32.engine.reading.definition import Reader

    reader = Reader(obj.plugins.components, [obj.plugins.check_bot])
    report = Report(obj.output, coverage=wish.coverage)
    bots: list[tuple[Path, Bot]] = []
    for path in bot_files(obj, wish.paths):
        reading = reader.read_path(path)
        report.problems(reading.problems)
        bots += [(path, bot) for bot in reading.bots]
    asyncio.run(_try(obj, bots, wish, report))
    if wish.junit is not None:
        from codex32.cli.junit import junit_xml

        wish.junit.write_text(junit_xml(report.runs), encoding="utf-8")
    return report.end()


async def _try(
    obj: Context, bots: Sequence[tuple[Path, Bot]], wish: _Wish, report: Report
) -> None:
    from codex32.cli.stage import stage
    from codex32.services.cases.case import cases_of

    async with stage(obj) as trials:
        for path, bot in bots:
            report.bot(path, bot)
            for case in cases_of(bot):
                if wish.only is not None and wish.only not in f"{bot.name} {case.name}":
                    continue
                verdict = await trials.run(case)
                report.verdict(verdict)
                if wish.exit_first and not verdict.passed:
                    return


def _changes(obj: Context, paths: Sequence[Path]) -> Iterator[None]:
    from watchfiles import watch

    obj.output.note("watching; Ctrl-C stops")
    for _ in watch(*(paths or obj.settings.bots.folders), raise_interrupt=False):
        obj.output.note("")
        yield


def _print_recorded(obj: Context, execution_id: str) -> None:
    from codex32.engine.reading.writing import yaml_text
    from codex32.services.cases.recorded import recorded_case

    with obj.runtime() as runtime:
        case = runtime.door.read_now(
            recorded_case, execution_id, runtime.payloads, runtime.definitions
        )

    def show() -> None:
        for line in yaml_text({"tests": [case]}).splitlines():
            obj.output.line(line)

    obj.output.result(case, show)
    obj.output.note("put it into the bot's file; add `state` where the bot uses what it remembers")
