"""The files of a new plugin, from the templates that come along."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FILE = re.compile(r"^=== (\S+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What differs between kinds in the files that all have."""

    offers: str
    summary: str
    usage: str
    config: str = "{}"


KINDS: Mapping[str, _Kind] = {
    "llm-provider": _Kind(
        "llm_providers",
        "language models",
        "Bots name its models in `model: @name@:backwards` and permit them in `allow.models`.",
    ),
    "embedder": _Kind(
        "embedders", "an embedder", "It turns texts into vectors under the name `@name@`."
    ),
    "vector-store": _Kind(
        "vector_stores", "a vector store", "It keeps vectors under the name `@name@`."
    ),
    "notifier": _Kind(
        "notifiers",
        "a notifier",
        "Bots write `type: notify` with `to: @name@`; the host of the target stands in "
        "`allow.hosts`.",
    ),
    "bot-type": _Kind("bot_types", "a kind of step", "Bots write `type: @name@`."),
    "trigger": _Kind(
        "trigger_types", "a trigger", "Bots write `triggers: [{@name@: {hours: [8, 20]}}]`."
    ),
    "secret-store": _Kind(
        "secret_stores",
        "a secret store",
        "The settings name its file, `plugins: {@name@: {file: secrets.json}}`, and may name "
        "the store in `secrets.stores`.",
        '{"file": "secrets.json"}',
    ),
}


class NameRefused(ValueError):
    """A name that no plugin can have; the message says what would be one."""


def plain_name(name: str) -> str:
    """The plugin's name, from it or from its distribution's.

    Raises:
      NameRefused: It cannot be made into the names of a distribution and a package.
    """
    plain = name.removeprefix("codex32-")
    if not _NAME.fullmatch(plain) or len(plain) > 40:
        raise NameRefused(f"{name!r} is no name of a plugin; write small letters, such as weather")
    return plain


def package_of(name: str) -> str:
    """The package of a plugin, by its plain name."""
    return f"codex32_{name.replace('-', '_')}"


def contents(name: str, kind: str) -> dict[str, str]:
    """The text of each file, by its path in the new folder.

    Args:
      name: As :func:`plain_name` gives it.
      kind: Of :data:`KINDS`.
    """
    chosen = KINDS[kind]
    words = {
        "distribution": f"codex32-{name}",
        "package": package_of(name),
        "Class": "".join(part.capitalize() for part in name.split("-")),
        "offers": chosen.offers,
        "summary": chosen.summary,
        "usage": chosen.usage,
        "config": chosen.config,
        "name": name,
    }
    found: dict[str, str] = {}
    for template in ("common", kind):
        text = (files("codex32.cli.plugin_templates") / f"{template}.txt").read_text("utf-8")
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        _, *parts = _FILE.split(text)
        found.update(zip(parts[::2], parts[1::2], strict=True))
    return found


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files below ``folder``, which is made.

    Raises:
      FileExistsError: There is something already; nothing is written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is there already, and not empty")
    for path, text in texts.items():
        file = folder.joinpath(*PurePosixPath(path).parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
