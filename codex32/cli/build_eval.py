"""``codex32 build eval``: how good a model is at building, over descriptions that come along."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from codex32.cli import build_session
from codex32.cli.context import Context, json_option, pass_context, workspace_option

if TYPE_CHECKING:
    from codex32.runtime import Runtime
    from codex32.services.building.builder import Builder
    from codex32.services.building.measuring import Described


@click.command("eval")
@json_option
@workspace_option
@click.option("--model", metavar="PROVIDER:MODEL", help="Default: the setting builder.model.")
@click.option("-k", "only", metavar="TEXT", help="Only descriptions whose name holds this.")
@click.option("--yes", is_flag=True, help="Do not ask, although models cost money.")
@pass_context
def eval_(obj: Context, model: str | None, only: str | None, yes: bool, workspace: str) -> None:
    """Measure a model: have each description of the corpus built, with no answers given.

    Nothing is accepted. A description counts as built where the draft was proved, and has the
    trigger, the bot types and the hosts that were described.
    """
    from codex32.services.building.measuring import corpus

    chosen = [each for each in corpus() if only is None or only in each.name]
    most = obj.settings.builder.budget_usd * len(chosen)
    obj.output.note(f"{len(chosen)} descriptions, at most {most:.2f} USD")
    if not yes and not obj.json:
        click.confirm("go on?", abort=True)

    async def run(runtime: Runtime, builder: Builder) -> list[dict[str, Any]]:
        found = []
        with obj.output.progress("building", len(chosen)) as advance:
            for each in chosen:
                found.append(await _built(obj, runtime, each, model, workspace))
                advance(1)
        return found

    found = build_session.do(obj, run)
    right = sum(each["status"] == "ready" and not each["wrong"] for each in found)
    cost = sum(each["cost_usd"] for each in found)
    told = {"built": right, "of": len(found), "cost_usd": round(cost, 6), "descriptions": found}

    def show() -> None:
        obj.output.table(
            ("name", "status", "killed", "cost", "seconds", "wrong"),
            [
                (each["name"], each["status"], each["killed"], f"{each['cost_usd']:.4f}",
                 each["seconds"], "; ".join(each["wrong"]) or each["message"][:80])
                for each in found
            ],
            "no description has such a name",
        )  # fmt: skip
        obj.output.line(f"{right} of {len(found)} built as described, for {cost:.4f} USD", "bold")

    obj.output.result(told, show)


async def _built(
    obj: Context, runtime: Runtime, about: Described, model: str | None, workspace: str
) -> dict[str, Any]:
    from codex32.services.building import presenting, sessions
    from codex32.services.building.measuring import measured
    from codex32.services.building.outcome import draft_of

    builder, caller = runtime.builder, obj.caller(workspace)
    began = time.perf_counter()
    session = await builder.begin(about.description, caller, model=model)
    session = await builder.run(session.id, workspace)
    if session.status == "asking":
        await builder.answer(session.id, {}, caller, go_on=True)
        session = await builder.run(session.id, workspace)
    seconds = time.perf_counter() - began
    bot = draft_of(session, runtime.reader) if session.work.yaml else None
    told = await runtime.door.read(presenting.told, session)
    if session.status == "ready":
        now = runtime.clock.micros()
        await runtime.door.write(lambda: sessions.abandon(session.id, caller, now))
    return measured(about, session, told, bot, seconds)
