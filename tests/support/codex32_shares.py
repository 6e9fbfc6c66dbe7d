"""A bot that fails where nobody is there, what mends it, and executions as they are recorded."""

from __future__ import annotations

import json
from typing import Any

import yaml
from codex32_descriptions import Solved

from codex32.kernel.ids import new_id
from codex32.kernel.models import BotRow, ExecutionRow, StepRow

ABOUT = "Shares ten among the people who are there."
SHARES = f"""\
# Ada's own words.
name: shares
description: {ABOUT}
inputs: {{n: {{type: integer, default: 1}}, note: {{type: string, default: ""}}}}
steps:
  - id: share
    type: python
    with:
      args: {{n: "${{{{ inputs.n }}}}"}}
      code: |
        def main(n):
            return 10 // n
  - {{id: tell, type: notify, with: {{to: log, text: "${{{{ string(steps.share.output) }}}}"}}}}
output: "${{{{ steps.share.output }}}}"
"""
MENDED = "def main(n):\n    return 10 // n if n else 0\n"
RAISED = {"message": "ZeroDivisionError: division by zero", "code": "raised"}


def mended(pytest: str = "", **more: Any) -> Solved:
    """What a competent model answers: the bot that shares nothing among nobody."""
    bot = {**yaml.safe_load(SHARES), **more}
    steps = [dict(each) for each in bot["steps"]]
    steps[0]["with"] = {**steps[0]["with"], "code": MENDED}
    return Solved("shares", ABOUT, [], [], {**bot, "steps": steps}, [], pytest=pytest)


def record(
    name: str, status: str, inputs: Any, *steps: Any, message: str = "", output: Any = None
) -> str:
    """Writes an execution that has ended; its id.

    Args:
      name: The bot's.
      status: How it ended.
      inputs: What it was given.
      steps: Of each its id, status, input, output and error.
      message: What it said.
      output: What came out.
    """
    execution_id, bot = new_id("exe"), BotRow.get(BotRow.name == name)
    ExecutionRow.insert(
        id=execution_id,
        workspace=bot.workspace,
        bot_id=bot.id,
        bot_name=name,
        version_id=bot.active_version_id,
        version_number=1,
        inputs=json.dumps(inputs),
        trigger='{"kind":"manual","at":"2026-01-01T00:00:00Z"}',
        trigger_kind="manual",
        created_at=1,
        finished_at=2,
        status=status,
        message=message,
        output=json.dumps(output),
        cause="error" if status == "failed" else None,
    ).execute()
    for step, ended, given, said, error in steps:
        StepRow.insert(
            execution_id=execution_id,
            step=step,
            status=ended,
            effect="none",
            tries=1,
            input=None if given is None else json.dumps(given),
            output=None if said is None else json.dumps(said),
            error=None if error is None else json.dumps(error),
            finished_at=2,
        ).execute()
    return execution_id
