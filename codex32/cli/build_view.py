"""What a person sees of a session of the builder, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.output import Output, clean

if TYPE_CHECKING:
    from codex32.services.building.session import Session

_DOING = {
    "interpret": "reading what you described",
    "compose": "writing the bot",
    "prove": "writing tests, and holding them against planted faults",
}


def doing(session: Session) -> str:
    """What is being done, in words."""
    return f"{_DOING[session.stage]} ({session.work.model})"


def ask(session: Session) -> dict[str, str]:
    """Ask what is not answered yet; an empty answer leaves the default."""
    given = {}
    for each in session.work.open:
        if each.id in session.work.answers:
            continue
        options = f" [{', '.join(each.options)}]" if each.options else ""
        said = click.prompt(
            clean(f"{each.question}{options}\n  if you say nothing: {each.default}\n"),
            default="",
            show_default=False,
            prompt_suffix="> ",
        )
        if said.strip():
            given[each.id] = said
    return given


def session(output: Output, told: dict[str, Any], shown: dict[str, Any] | None) -> None:
    """A session, where it is, and what to do next."""
    output.facts(
        [
            ("session", told["id"]),
            ("status", told["status"]),
            ("cost", f"{told['cost_usd']:.4f} of {told['budget_usd']:.2f} USD"),
            ("message", told["message"]),
            ("ahead of it", _sessions(told["ahead"])),
        ]
    )
    accepted = told["accepted"]
    if told["status"] == "accepted":
        state = "enabled" if accepted["enabled"] else "disabled"
        output.line(f"bot {accepted['bot']} is at version {accepted['version']}, {state}")
        if not accepted["enabled"]:
            output.note(f"let it be started with: codex32 bots enable {accepted['bot']}")
        output.note(f"take it back with: codex32 build undo {told['id']}")
    if shown is not None:
        draft(output, shown)
    if told["status"] == "asking":
        for each in told["questions"]:
            known = each["answer"] or f"(nothing yet; else {each['default']})"
            output.line(f"  {each['id']}: {each['question']} {known}")
        output.note(f"answer with: codex32 build answer {told['id']} QUESTION=ANSWER")
    elif told["status"] == "ready" and shown is not None:  # else they were told with the draft
        if shown["file"] is not None:
            output.note(in_file(told["id"], shown))
        else:
            output.note(f"make it a bot with: codex32 build accept {told['id']}")


def in_file(session_id: str, shown: Mapping[str, Any]) -> str:
    """How a draft is accepted whose bot a file owns."""
    name, file = shown["name"], shown["file"]
    return (
        f"{name} belongs to the file {file}; write the draft there with: "
        f"codex32 build save {session_id} FOLDER --force"
    )


def draft(output: Output, shown: dict[str, Any]) -> None:
    """A draft: what it is, what it may, what its tests showed, what would change."""
    for title, text in (
        ("", shown["yaml"]),
        ("pytest for its Python:", shown["python"]),
        ("Its steps (Mermaid):", shown["diagram"]),
    ):
        if text:
            output.line(title, "bold")
            for line in text.splitlines():
                output.line(f"  {line}")
    output.line()
    output.line("It may:", "bold")
    for each in shown["capabilities"]:
        used = f"  ({', '.join(each['used_by'])})" if each["used_by"] else ""
        output.line(f"  {each['kind']}: {each['name']}{used}")
    if not shown["capabilities"]:
        output.line("  reach nothing outside")
    for each in shown["assumptions"]:
        output.line(f"Assumed: {each}")
    if (merged := shown["merged"]) is not None:
        output.line(
            f"Merged with version {merged['version']}, which came since this began; "
            "it is proved anew before it is accepted"
        )
        for each in merged["conflicts"]:
            conflict(output, each)
    for change in shown["changes"]:
        output.line(f"Changes: {change['text']}")
    cost = shown["cost"]
    output.line(
        f"Costs: {_usd(cost['execution_usd'])} each time, {_usd(cost['month_usd'])} a month"
    )
    if (proof := shown["proof"]) is not None:
        _proof(output, proof)
    if shown["notes"]:
        output.line(f"The model says: {shown['notes']}")


def conflict(output: Output, each: Mapping[str, Any]) -> None:
    """What both sides changed, and what therefore is not in the merge."""
    from codex32.services.bots.diff import changed_lines, shortened

    path, base, theirs = each["path"], each["base"], each["theirs"]
    if isinstance(base, str) and isinstance(theirs, str) and "\n" in base + theirs:
        output.line(f"Conflict: {path} stays as it is, without this change:")
        for line in changed_lines(base, theirs):
            output.line(f"  {line}")
    elif theirs is None:
        output.line(f"Conflict: {path} stays, and was to be removed")
    else:
        output.line(f"Conflict: {path} stays as it is, without {shortened(theirs)}")


def _proof(output: Output, proof: dict[str, Any]) -> None:
    passed = sum(each["passed"] for each in proof["tests"])
    output.line(f"{passed} of {len(proof['tests'])} tests pass", "bold")
    for each in proof["tests"]:
        output.line(f"  {'passed' if each['passed'] else 'FAILED'}  {each['name']}")
        for fault in each["faults"]:
            output.line(f"          {fault}")
    output.line(f"They notice {proof['killed']} of {proof['mutants']} planted faults")
    for each in proof["survivors"]:
        output.line(f"  nobody noticed {each}")


def _sessions(ahead: int | None) -> str | None:
    return None if not ahead else f"{ahead} sessions that wait for their turn, too"


def _usd(amount: float | None) -> str:
    return "nobody knows how much" if amount is None else f"{amount:.4f} USD"
