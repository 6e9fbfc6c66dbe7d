"""The Python of bots' steps, for pytest files that stand beside the bot files."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

_SECTIONS = ("steps", "on_failure", "finally")


def step_main(folder: Path, bot: str, step: str) -> Callable[..., Any]:
    """The function ``main`` of a step of type ``python``.

    Args:
      folder: Where the bot files are.
      bot: The bot's name.
      step: The step's id; ``main`` of a bot of a single step.

    Raises:
      LookupError: No such step is there.
    """
    there = []
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        for name, step_id, params in _steps(path):
            if (name, step_id) == (bot, step):
                return _load(path.parent, step, params)
            there.append(f"{name}.{step_id}")
    known = ", ".join(there) or "none"
    raise LookupError(f"no bot {bot!r} here has a Python step {step!r}; there is {known}")


def _steps(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if not isinstance(document, dict):
            continue
        alone = [{**document, "id": "main"}] if "steps" not in document else []
        steps = [*alone, *(step for name in _SECTIONS for step in document.get(name) or ())]
        for step in steps:
            if step.get("type") == "python":
                yield document.get("name", path.stem), step["id"], step.get("with") or {}


def _load(folder: Path, step: str, params: dict[str, Any]) -> Callable[..., Any]:
    if "file" in params:
        return _main_of(step, folder / params["file"])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, f"{step}.py")
        path.write_text(params["code"], encoding="utf-8")
        return _main_of(step, path)


def _main_of(step: str, path: Path) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(step, path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path} is no Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[..., Any] = module.main
    return main
