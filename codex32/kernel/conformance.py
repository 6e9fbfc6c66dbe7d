"""Whether a component keeps its contract, as far as that can be told without using it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import fastjsonschema

from codex32.kernel.bot import Rate
from codex32.kernel.components import Kind
from codex32.kernel.contracts.sandbox import SandboxLevel
from codex32.kernel.json_values import is_json

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
#: Embedders may be of a provider, as models are.
_EMBEDDER = re.compile(_NAME.pattern + r"(:[A-Za-z0-9][A-Za-z0-9._:/-]{0,126})?")
#: Keys that stand beside a trigger's kind in a bot file.
_BESIDE_A_TRIGGER = {"timezone", "on_missed", "overlap", "dedupe", "if", "inputs", "enabled"}


def faults_of(kind: Kind, component: Any) -> list[str]:
    """What is wrong with ``component`` as a ``kind``, a sentence each; empty if nothing is."""
    contract = kind.contract.__name__
    if isinstance(component, type):
        return [f"{component.__name__} is a class; offer an instance: {component.__name__}()"]
    if not isinstance(component, kind.contract):
        return [f"{component!r} is no {contract}; derive its class from codex32.{contract}"]
    return [f"{type(component).__name__}{fault}" for fault in _faults(kind, component)]


def _faults(kind: Kind, component: Any) -> Iterator[str]:
    name = getattr(component, kind.label, None)
    pattern = _EMBEDDER if kind.key == "embedders" else _NAME
    if not isinstance(name, str) or not pattern.fullmatch(name):
        yield f".{kind.label} is {name!r}; it must be a text like 'my_{kind.word.split()[-1]}'"
    if kind.key == "trigger_types" and name in _BESIDE_A_TRIGGER:
        yield f".name is {name!r}, which already means something else beside a trigger"
    for attribute, check in _ATTRIBUTES.get(kind.key, {}).items():
        if fault := check(getattr(component, attribute, None)):
            yield f".{attribute} {fault}"
    for method, promised in vars(kind.contract).items():
        if inspect.isfunction(promised) and not method.startswith("_"):
            yield from (f".{method} {f}" for f in _method(promised, getattr(component, method)))


def _method(promised: Callable[..., Any], given: Any) -> Iterator[str]:
    if not callable(given):
        yield "must be a method"
        return
    if inspect.iscoroutinefunction(promised):
        if not inspect.iscoroutinefunction(inspect.unwrap(given)):
            yield "must be written with 'async def'"
    elif inspect.iscoroutinefunction(given):
        yield "must not be a coroutine: it is called, not awaited"
    parameters = list(inspect.signature(promised).parameters.values())[1:]
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    try:
        inspect.signature(given).bind(
            *[None] * (len(parameters) - len(named)), **dict.fromkeys(named)
        )
    except TypeError as error:
        wanted = ", ".join(p.name for p in parameters) or "nothing"
        yield f"must take {wanted}: {error}"
    except ValueError:  # written in C, without a signature
        return


def _schema(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not is_json(value):
        return f"must be a JSON Schema written as a dict, not {type(value).__name__}"
    try:
        # Formats are the engine's to know, and nothing is fetched from the network at start. Only
        # written, not compiled: each process judges all schemas when it starts.
        fastjsonschema.compile_to_code(
            dict(value),
            handlers=dict.fromkeys(("http", "https", "ftp", "file"), _refuse),
            use_formats=False,
        )
    except Exception as error:
        return f"is no valid JSON Schema: {error}"
    return None


def _refuse(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}; write the schema in place")


def _object_schema(value: Any) -> str | None:
    if fault := _schema(value):
        return fault
    if value.get("type") != "object":
        return "must describe an object: {'type': 'object', 'properties': {...}}"
    return None


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be True or False, not {value!r}"


def _texts(value: Any) -> str | None:
    if isinstance(value, Mapping) and all(isinstance(t, str) for kv in value.items() for t in kv):
        return None
    return "must map texts to texts"


def _positive(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return None
    return f"must be a positive whole number, not {value!r}"


def _level(value: Any) -> str | None:
    return None if isinstance(value, SandboxLevel) else f"must be a SandboxLevel, not {value!r}"


def _names(value: Any) -> str | None:
    if isinstance(value, tuple | list) and value and all(isinstance(each, str) for each in value):
        return None
    return f"must be a list of texts, not {value!r}"


def _rate(value: Any) -> str | None:
    if value is None or (isinstance(value, Rate) and value.limit > 0 and value.per_seconds > 0):
        return None
    return f"must be a Rate or None, not {value!r}"


_ATTRIBUTES: dict[str, dict[str, Callable[[Any], str | None]]] = {
    "bot_types": {
        "params_schema": _object_schema,
        "output_schema": _schema,
        "inlined_files": _texts,
        "single": _flag,
    },
    "trigger_types": {"config_schema": _schema, "timed": _flag},
    "notifiers": {"idempotent": _flag, "replies": _flag, "updates": _flag, "rate": _rate},
    "embedders": {"dimension": _positive},
    "vector_stores": {"durable": _flag, "shared": _flag},
    "sandboxes": {"level": _level, "runtimes": _names},
}
