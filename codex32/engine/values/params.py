"""Checking what a step is done with, expressions evaluated, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import fastjsonschema

from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.errors import StepFault
from codex32.kernel.json_values import JSON
from codex32.kernel.text import parse_duration


def check_params(bot_type: BotType, params: Mapping[str, JSON]) -> None:
    """Check ``params`` against the bot type's schema.

    Raises:
      StepFault: Names the parameter and what is wrong with it.
    """
    try:
        _params(bot_type)(params)
    except fastjsonschema.JsonSchemaValueException as fault:
        message = fault.message.replace("data.", "with.", 1).replace("data ", "with ", 1)
        raise StepFault(message, code="invalid-params") from None


def check_output(bot_type: BotType, output: JSON) -> None:
    """Check what a bot type gave back against what it declares.

    Raises:
      StepFault: Names the bot type and what is wrong.
    """
    try:
        _output(bot_type)(output)
    except fastjsonschema.JsonSchemaValueException as fault:
        told = fault.message.replace("data", "output", 1)
        raise StepFault(
            f"bot type {bot_type.name} broke its contract: {told}", code="invalid-output"
        ) from None


@lru_cache(maxsize=256)
def _params(bot_type: BotType) -> Callable[[JSON], JSON]:
    return _compile(bot_type.params_schema)


@lru_cache(maxsize=256)
def _output(bot_type: BotType) -> Callable[[JSON], JSON]:
    return _compile(bot_type.output_schema)


def _compile(declared: Mapping[str, Any]) -> Callable[[JSON], JSON]:
    # The schema is a plugin's own, so compiling it to code runs nothing a stranger wrote.
    schema = {**declared, "$schema": "http://json-schema.org/draft-07/schema#"}
    compiled: Callable[[JSON], JSON] = fastjsonschema.compile(
        schema, formats={"duration": _is_duration}, use_default=False, detailed_exceptions=False
    )
    return compiled


def _is_duration(value: Any) -> bool:
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True
