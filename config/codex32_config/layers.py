"""Where settings are read from: layers of nested tables, each value with its place.

pydantic-settings would read these sources too, but passes over misspelt names in the
environment in silence, cannot tell in which line a value stands, and takes longer to import
than all the rest of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

#: The names that lead to a value: ``("worker", "processes")``.
Key: TypeAlias = tuple[str, ...]

PREFIX = "CODEX32_"
#: Names of ours in the environment that are no settings.
NO_SETTINGS = frozenset(
    {"CLOCK_SHIFT", "CONFIG", "ENV", "FAULT_POINTS", "SERVER", "TOKEN", "TRACE_PLUGINS"}
)
NO_SETTINGS_PREFIXES = ("SECRET_", "TEST_")


class SettingsError(ValueError):
    """Settings cannot be used; each line of the message names a place and a remedy."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings."""

    values: dict[str, Any] = field(default_factory=dict)
    #: Where each value stands, as a person would look it up.
    places: dict[Key, str] = field(default_factory=dict)

    def put(self, key: Key, value: Any, place: str) -> None:
        """Place a value, making the tables above it.

        Raises:
          SettingsError: What stands above it is no table.
        """
        table = self.values
        for depth, name in enumerate(key[:-1], 1):
            self.places.setdefault(key[:depth], place)
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                above = self.places[key[:depth]]
                raise SettingsError(f"{place}: {name} was given a value of its own by {above}")
        if isinstance(value, dict) and isinstance(table.get(key[-1]), dict):
            value = {**value, **table[key[-1]]}
        table[key[-1]] = value
        self.places[key] = place


def merged(layers: Sequence[Layer]) -> Layer:
    """The layers on top of each other: tables are joined, everything else is replaced."""
    result = Layer()
    for layer in layers:
        _join(result.values, layer.values)
        result.places.update(layer.places)
    return result


def _join(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            _join(below[name], value)
        elif isinstance(value, dict):
            below[name] = {}
            _join(below[name], value)
        elif value is not None or not isinstance(below.get(name), dict):
            below[name] = value  # a table whose lines are all commented out reads as null


def from_yaml(text: str, name: str) -> Layer:
    """The layer of a YAML document; ``name`` is its file in the places.

    Raises:
      SettingsError: The text is no YAML, no table, or names a key twice.
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        layer = Layer()
        if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
            return layer
        if not isinstance(root, yaml.MappingNode):
            raise SettingsError(f"{name}:1: settings must be a table of names and values")
        _read_table(loader, root, (), name, layer)
        return layer
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        told = getattr(error, "problem", None) or str(error)
        raise SettingsError(f"{name}:{line}: {told}") from None
    finally:
        loader.dispose()


def _read_table(
    loader: yaml.SafeLoader, node: yaml.MappingNode, above: Key, file: str, layer: Layer
) -> None:
    for name_node, value_node in node.value:
        place = f"{file}:{name_node.start_mark.line + 1}"
        key = (*above, str(loader.construct_object(name_node, deep=True)))
        if key in layer.places:
            raise SettingsError(f"{place}: {'.'.join(key)} is set twice; keep one of the two")
        if isinstance(value_node, yaml.MappingNode):
            layer.put(key, {}, place)
            _read_table(loader, value_node, key, file, layer)
        else:
            layer.put(key, loader.construct_object(value_node, deep=True), place)


def from_environment(environ: Mapping[str, str]) -> Layer:
    """The layer of ``CODEX32_*``, the classic names, and files named by ``CODEX32_*_FILE``.

    An empty variable counts as not set, as containers tend to pass them.

    Raises:
      SettingsError: A file is not there, or a name is given twice.
    """
    layer = Layer()
    database = ["DATABASE_URL"]
    if environ.get("CODEX32_ENV") == "test":
        database.insert(0, "TEST_DATABASE_URL")
    for setting, names in (("database_url", database), ("redis_url", ["REDIS_URL"])):
        classic = next((name for name in names if environ.get(name)), None)
        if classic:
            layer.put((setting,), environ[classic], classic)
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if (
            name == variable
            or not environ[variable]
            or name in NO_SETTINGS
            or name.startswith(NO_SETTINGS_PREFIXES)
        ):
            continue
        text = environ[variable]
        if name.endswith("_FILE"):
            name = name.removesuffix("_FILE")
            if environ.get(PREFIX + name):
                raise SettingsError(f"{variable}: {PREFIX}{name} is set too; unset one of the two")
            text = _file_text(Path(text), variable)
        key = tuple(name.lower().split("__"))
        layer.put(key, _typed(key, text, variable), variable)
    return layer


def _file_text(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise SettingsError(f"{variable}: {path} cannot be read: {reason}") from None


def _typed(key: Key, text: str, variable: str) -> Any:
    # Nothing says which type a plugin's setting has, so it is read as YAML would read it.
    if key[0] != "plugins" and not text.startswith(("[", "{")):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise SettingsError(
            f"{variable}: this is no list or table; write for example [a, b] or {{name: value}}"
        ) from None


def from_mapping(values: Mapping[str, Any], place: str) -> Layer:
    """The layer of what code asks for; keys may be dotted: ``{"worker.processes": 4}``."""
    layer = Layer()

    def take(table: Mapping[str, Any], above: Key) -> None:
        for name, value in table.items():
            key = (*above, *name.split("."))
            if isinstance(value, Mapping) and value:
                take(value, key)
            else:
                layer.put(key, dict(value) if isinstance(value, Mapping) else value, place)

    take(values, ())
    return layer
