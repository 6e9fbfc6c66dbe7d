"""Parts of a step that are recorded like steps: calls of models and tools, questions to people.

The row of a part has the item of its step, and an id of its own: ``triage.03.comment``.
"""

from __future__ import annotations


def part_id(step: str, number: int, name: str) -> str:
    """The id of the part of a step that is its ``number``-th, from 1."""
    return f"{step}.{number:02d}.{name}"


def is_part(step: str) -> bool:
    """Whether an id is that of a part."""
    return "." in step


def step_of(part: str) -> str:
    """The step that a part belongs to; a step belongs to itself."""
    return part.partition(".")[0]


def place_of_tool(part: str) -> str:
    """What people call a part: step and tool, whichever call it was; of a step its id."""
    step, _, rest = part.partition(".")
    return f"{step}.{rest.partition('.')[2]}" if rest else step
