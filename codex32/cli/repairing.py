"""``codex32 executions repair``: a draft that mends the bot, with a test that proves it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option


@click.command()
@json_option
@workspace_option
@click.argument("execution_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the draft to this file instead of printing it.",
)
@pass_context
def repair(obj: Context, execution_id: str, target: Path | None, workspace: str) -> None:
    """Draft what would mend the bot of a failed execution; nothing is applied.

    The draft is the bot's file with a test made from what is recorded: it fails on the bot as it
    was. Where a rule knows what helps, the change stands in the draft, and the test passes with
    it; else it fails until the bot is mended.
    """
    from codex32.services.executions import executions, repairing

    with obj.runtime() as runtime:
        read = runtime.door.read_now
        row = read(partial(executions.find, execution_id, workspace=workspace))
        parts = runtime.payloads, runtime.definitions, runtime.reader
        made = read(partial(repairing.draft, row.id, *parts, workspace=workspace))
    tried = asyncio.run(repairing.prove(made, obj.settings.folder))
    if target is not None:
        target.write_text(made.text, encoding="utf-8")

    def show() -> None:
        if target is None:
            for line in made.text.splitlines():
                obj.output.line(line)
        obj.output.note(f"trouble: {made.diagnosis.trouble}; {made.diagnosis.remedy}")
        change = made.change or (
            "no rule knows one; mend the bot until the test passes, or let a model draft it: "
            f"codex32 build repair {made.execution}"
        )
        obj.output.note(f"change: {change}")
        if tried.failed_before is not None:
            shows = "fails" if tried.failed_before else "does NOT fail"
            obj.output.note(f"the test {shows} on the bot as it was")
        if tried.passes_after is not None:
            passed = "pass" if tried.passes_after else "do NOT pass"
            obj.output.note(f"all tests {passed} with the change")
        for each in tried.problems:
            obj.output.note(f"the tests could not be run: {each}")
        if target is not None:
            obj.output.note(f"wrote {target}")

    obj.output.result(tried.as_dict(), show)
