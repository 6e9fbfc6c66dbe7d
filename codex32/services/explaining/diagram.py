"""A bot's steps as a Mermaid flowchart."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from codex32.kernel.bot import Bot, Step, Trigger
from codex32.kernel.json_values import dumps

#: Characters of a label.
_LONGEST: Final = 60


def diagram(bot: Bot) -> str:
    """The text of a flowchart, which GitHub, GitLab and many editors draw."""
    return "\n".join(["flowchart TD", *(f"  {line}" for line in _lines(bot)), ""])


def _lines(bot: Bot) -> Iterator[str]:
    first = [step for step in bot.steps if not step.needs]
    for number, trigger in enumerate(bot.triggers):
        yield f"t{number}([{_label(_trigger(trigger))}])"
    if not bot.triggers:
        yield f"t0([{_label('by hand')}])"
    yield from _nodes(bot.steps)
    for number in range(max(len(bot.triggers), 1)):
        yield from (f"t{number} --> s_{step.id}" for step in first)
    yield from _edges(bot.steps)
    last = _last(bot.steps)
    for title, arrow, section in (
        ("when it fails", "-. fails .->", bot.on_failure),
        ("always, at the end", "-.->", bot.finally_),
    ):
        if not section:
            continue
        name = section[0].id
        yield f"subgraph b_{name} [{_label(title)}]"
        yield from (f"  {line}" for line in (*_nodes(section), *_edges(section)))
        yield "end"
        yield from (f"s_{step.id} {arrow} b_{name}" for step in last)


def _nodes(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        words = [step.id, step.type + (" for each item" if step.foreach is not None else "")]
        if step.condition is not None:
            words.append(f"if {step.condition}")
        left, right = ("{{", "}}") if step.condition is not None else ("[", "]")
        yield f"s_{step.id}{left}{_label(*words)}{right}"


def _edges(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        yield from (f"s_{need} --> s_{step.id}" for need in step.needs)


def _last(steps: Sequence[Step]) -> list[Step]:
    needed = {need for step in steps for need in step.needs}
    return [step for step in steps if step.id not in needed]


def _trigger(trigger: Trigger) -> str:
    told = trigger.config if isinstance(trigger.config, str) else dumps(trigger.config)
    return f"{trigger.kind} {told}"


def _label(*words: str) -> str:
    """A quoted label; Mermaid reads entities, and would read much else."""
    short = [
        textwrap.shorten(word, _LONGEST, placeholder="…") or word[:_LONGEST] for word in words
    ]
    safe = [
        "".join(c if c.isalnum() or c in " _-.,:/…" else f"#{ord(c)};" for c in w) for w in short
    ]
    return f'"{"<br/>".join(safe)}"'
