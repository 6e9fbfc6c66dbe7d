"""What answers for the step that failed, in a test that is made from what is recorded.

As long as it is asked the same it fails as it did, but for what may pass; asked anything else it
answers as it did when all was well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from codex32.engine.expressions import MAX_BYTES
from codex32.kernel.bot import Step
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.masking import MASK

#: Faults that may be gone at the next try.
_PASSING: Final = re.compile(
    r"http-(429|408|425|5\d\d|unreachable|cut|timeout)|provider-(unavailable|rate-limited)"
)
_STATUS: Final = re.compile(r"http-(\d{3})")
#: What some types answer where nothing is known of it and all is well.
_WELL: Final[Mapping[str, JSON]] = {
    "http": {"status": 200, "headers": {}, "body": "", "url": ""},
    "approve": {"approved": True, "by": None, "at": "", "form": {}, "note": None},
}


@dataclass(frozen=True, slots=True)
class Failed:
    """The step that an execution failed of, as it is recorded.

    Attributes:
      message: What it said, and ``code`` its stable word.
      given: What stood in its ``with``; None where that is not recorded.
      tries: How often it was tried.
    """

    message: str = ""
    code: str = ""
    given: JSON = None
    tries: int = 1

    @property
    def may_pass(self) -> bool:
        """Whether the fault may be gone at the next try."""
        return bool(_PASSING.fullmatch(self.code))

    @property
    def fault(self) -> dict[str, JSON]:
        """It as a mock."""
        told: dict[str, JSON] = {"error": self.message, "code": self.code or "error"}
        return {**told, "retryable": True} if self.may_pass else told


@dataclass(frozen=True, slots=True)
class Went:
    """An item of a ``foreach`` that went well.

    Attributes:
      given: What stood in its ``with``; None where that is not recorded.
    """

    given: JSON
    output: JSON


def stand_in(step: Step, failed: Failed, answer: JSON) -> dict[str, JSON]:
    """What answers for the step that failed: ``answer``, where it is asked anything else."""
    given = failed.given
    if not failed.may_pass:
        refused = _same(step, given, _refusal(step, failed))
        if refused is not None:
            return {step.type: [refused, _anything(step, answer)]}
    return _in_time(step, failed, failed.tries, answer)


def stand_in_for_items(
    step: Step, items: Sequence[Failed | Went], answer: JSON
) -> dict[str, JSON]:
    """What answers for the items of the step that failed: each what it said then.

    Where it is not told what an item was asked, all answer as an item did when all was well.
    """
    rules: list[JSON] = []
    for each in items:
        if isinstance(each, Went):
            told: Mapping[str, JSON] | None = _output(step, each.output)
        else:
            told = _refusal(step, each)
            if told is not None and each.may_pass:
                told = {**told, "times": each.tries}
        rule = _same(step, each.given, told)
        if rule is None:
            failed = [it for it in items if isinstance(it, Failed)]
            return _in_time(step, failed[0], max(it.tries for it in failed), answer)
        rules.append(rule)
    return {step.type: [*rules, _anything(step, answer)]}


def likely(step: Step, schema: Mapping[str, Any]) -> JSON:
    """What a step may answer of which nothing is recorded: as little as its type may."""
    return _WELL[step.type] if step.type in _WELL else _least(schema)


def _in_time(step: Step, failed: Failed, tries: int, answer: JSON) -> dict[str, JSON]:
    """It fails so often, whatever it is asked, and then it does not."""
    again: list[JSON] = [{**failed.fault, "retryable": True}] * tries
    return {step.id: {"tries": [*again, {"output": answer}]}}


def _same(step: Step, given: JSON, answer: Mapping[str, JSON] | None) -> dict[str, JSON] | None:
    """``answer`` to what asks the same; None where that cannot be told."""
    if answer is None or not isinstance(given, dict) or MASK in dumps(given):
        return None
    if step.type == "http":
        if not isinstance(url := given.get("url"), str):
            return None
        # A star in it stands for itself alone, which no pattern can say; a query may follow.
        mark = "&" if "?" in url else "?"
        same = f"request.url == {dumps(url)} || request.url.startsWith({dumps(url + mark)})"
        found: dict[str, JSON] = {"url": "*", "if": same, **answer}
    elif step.type == "llm":
        return None
    else:
        same = f"params == parse_json({dumps(dumps(given))})"
        found = {"if": same, **answer}
    return found if len(same.encode()) <= MAX_BYTES else None


def _refusal(step: Step, failed: Failed) -> dict[str, JSON] | None:
    if step.type != "http":
        return failed.fault
    if (status := _STATUS.fullmatch(failed.code)) is not None:
        return {"status": int(status[1])}
    kind = failed.code.removeprefix("http-")
    return {"error": kind} if kind in ("unreachable", "cut", "timeout") else None


def _output(step: Step, output: JSON) -> dict[str, JSON]:
    if step.type != "http":
        return {"output": output}
    good = output if isinstance(output, dict) else {}
    return {key: good[key] for key in ("status", "headers", "body") if key in good}


def _anything(step: Step, answer: JSON) -> dict[str, JSON]:
    return {**({"url": "*"} if step.type == "http" else {}), **_output(step, answer)}


def _least(schema: Mapping[str, Any]) -> JSON:
    """The smallest value of a JSON Schema, as far as its plain words go."""
    for word in ("const", "default"):
        if word in schema:
            value: JSON = schema[word]
            return value
    if schema.get("enum"):
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            return _least(schema[word][0])
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "null" in kinds or kind is None:
        return None
    match kinds[0]:
        case "object":
            parts = schema.get("properties", {})
            return {name: _least(parts.get(name, {})) for name in schema.get("required", ())}
        case "array":
            return []
        case "string":
            return ""
        case "boolean":
            return False
    return schema.get("minimum", 0)
