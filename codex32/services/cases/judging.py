"""Holding how an execution ended against how it must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON, dumps
from codex32.services.cases.case import Case, Ending, holds

_LONGEST = 200


def faults_of(case: Case, ending: Ending) -> list[str]:
    """Everything that did not come as it must."""
    expect: Mapping[str, Any] = case.expect
    faults = list(ending.unmocked)
    faults += _same("status", expect.get("status", "succeeded"), ending.status, ending)
    if "cause" in expect:
        faults += _same("cause", expect["cause"], ending.cause, ending)
    if (part := expect.get("message")) is not None and part not in ending.message:
        faults.append(f"message: {_shown(ending.message)} does not hold {_shown(part)}")
    if "output" in expect and expect["output"] != ending.output:
        faults.append(f"output: {_shown(ending.output)}, not {_shown(expect['output'])}")
    for name, wanted in expect.get("steps", {}).items():
        faults += _step(name, wanted, ending.steps.get(name, {}))
    faults += differences(expect.get("state", {}), ending.state, "state")
    if "effects" in expect:
        faults += _effects(expect["effects"], ending.effects)
    if (most := expect.get("cost_usd")) is not None and ending.cost_usd > most:
        faults.append(f"cost_usd: its models cost {ending.cost_usd:g}, more than {most:g}")
    for text in expect.get("that", ()):
        faults += _that(text, ending)
    return faults


def differences(wanted: JSON, found: Any, place: str) -> Iterator[str]:
    """Where ``found`` is other than ``wanted``; of mappings only the wanted keys are held."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, each in wanted.items():
            if key not in found:
                there = ", ".join(map(str, found)) or "nothing"
                yield f"{place}.{key}: is missing; there is {there}"
            else:
                yield from differences(each, found[key], f"{place}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif wanted != found:
        yield f"{place}: {_shown(found)}, not {_shown(wanted)}"


def _same(what: str, wanted: JSON, found: JSON, ending: Ending) -> list[str]:
    if wanted == found:
        return []
    return [f"{what}: {found}, not {wanted}" + (f" ({ending.message})" if ending.message else "")]


def _step(name: str, wanted: Any, found: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(wanted, str):
        wanted = {"status": wanted}
    error = found.get("error") or {}
    if (status := wanted.get("status")) is not None and status != found.get("status"):
        why = f" ({error['message']})" if error else ""
        yield f"steps.{name}: {found.get('status')}, not {status}{why}"
    if "output" in wanted:
        yield from differences(wanted["output"], found.get("output"), f"steps.{name}.output")
    if (part := wanted.get("error")) is not None and part not in error.get("message", ""):
        said = _shown(error.get("message"))
        yield f"steps.{name}.error: {said} does not hold {_shown(part)}"
    if (tries := wanted.get("tries")) is not None and tries != found.get("tries"):
        yield f"steps.{name}.tries: {found.get('tries')}, not {tries}"


def _effects(
    wanted: Sequence[Mapping[str, JSON]], found: Sequence[Mapping[str, JSON]]
) -> Iterator[str]:
    if len(wanted) != len(found):
        done = ", ".join(f"{each['step']} ({each['type']})" for each in found) or "none"
        yield f"effects: {len(found)}, not {len(wanted)}: {done}"
        return
    for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
        yield from differences(dict(one), other, f"effects[{index}]")


def _that(condition: JSON, ending: Ending) -> Iterator[str]:
    try:
        if not holds(condition, ending.scope()):
            yield f"that: does not hold: {condition}"
    except ExpressionFault as fault:
        yield f"that: {condition}: {fault.message}"


def _shown(value: JSON) -> str:
    text = dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
