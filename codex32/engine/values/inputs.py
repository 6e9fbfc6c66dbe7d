"""The inputs of an execution, held against what its bot declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex32.engine.reading.document import dotted
from codex32.engine.values.validation import Validator
from codex32.kernel.bot import Bot
from codex32.kernel.errors import InputsInvalid
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean


def check_inputs(bot: Bot, inputs: Mapping[str, JSON]) -> dict[str, Any]:
    """The inputs with which ``bot`` is executed: those given, and defaults for the others.

    An input without a default may be missing; the expression that needs it says so.

    Raises:
      InputsInvalid: An input is unknown or does not fit its schema; all are told together.
    """
    problems: list[Problem] = []
    for name, value in inputs.items():
        if name not in bot.inputs:
            known = ", ".join(bot.inputs) or "none"
            message = f"unknown input{did_you_mean(name, bot.inputs)}; {bot.name} takes: {known}"
            problems.append(Problem(message, name, code="unknown-input"))
            continue
        for each in Validator(bot.inputs[name], private=True).findings(value):
            problems.append(Problem(each.message, dotted((name, *each.path)), code=each.code))
    if problems:
        raise InputsInvalid(f"the inputs do not fit {bot.name}:", problems)
    defaults = {name: s["default"] for name, s in bot.inputs.items() if "default" in s}
    return {**defaults, **inputs}
