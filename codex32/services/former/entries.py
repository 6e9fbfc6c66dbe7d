"""The registry of a former installation: one JSON file that lists bots and where their code is.

It was written by another program, so every entry is taken for what it is: what cannot be used is
refused with a reason, and nothing is passed over in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from codex32.engine.reading.inlining import MAX_BYTES
from codex32.kernel.errors import Codex32Error
from codex32.kernel.foreign_json import MAX_DEPTH, is_deep
from codex32.kernel.json_values import JSON
from codex32.kernel.redaction import scrub

REGISTRY = "codex32_registry.json"
_MOST_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SECRET = re.compile(r"key|token|secret|password|credential|dsn", re.IGNORECASE)


class RegistryUnreadable(Codex32Error):
    """A former installation's registry is not there, or is none."""

    code = "registry-unreadable"


@dataclass(slots=True)
class Entry:
    """One bot of the registry.

    Attributes:
      called: As the registry calls it.
      name: The bot's here; None where none can be made of it.
      said: What the registry says of it.
      file: Where its code was looked for, relative to the installation.
      code: Its text.
      refused: Why it cannot be taken.
      notes: What whoever reads the report should know.
    """

    called: str
    name: str | None = None
    said: Mapping[str, JSON] = field(default_factory=dict)
    file: str | None = None
    code: str | None = None
    refused: str | None = None
    notes: list[str] = field(default_factory=list)


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys stood in it twice."""

    twice: Sequence[tuple[str, Any]] = ()


def read_registry(path: Path) -> tuple[Path, list[Entry]]:
    """The folder of an installation and its entries, in the order of the registry.

    Args:
      path: The folder, or the registry in it.

    Raises:
      RegistryUnreadable: There is no registry, or it holds no list of bots.
    """
    registry = path / REGISTRY if path.is_dir() else path
    root = registry.parent.resolve()
    entries = [_entry(root, called, said) for called, said in _listed(_load(registry))]
    seen: set[str] = set()
    for entry in entries:
        if entry.name is not None and entry.refused is None:
            if entry.name in seen:
                entry.refused = f"another entry is called {entry.name} already"
            seen.add(entry.name)
    return root, entries


def unlisted(root: Path, entries: Iterable[Entry]) -> list[str]:
    """Code below ``bots`` that no entry names."""
    named = {entry.file for entry in entries}
    found = (str(path.relative_to(root)) for path in root.glob("bots/*/bot.py"))
    return sorted(each for each in found if each not in named)


def looks_secret(key: str) -> bool:
    """Whether a value under this key is better not shown."""
    return _SECRET.search(key) is not None


def holds_secret(value: Any) -> bool:
    """Whether something in a value is written like a secret: a URL with a password, a token."""
    if isinstance(value, str):
        return scrub(value) != value
    if isinstance(value, Mapping):
        return any((v and looks_secret(str(k))) or holds_secret(v) for k, v in value.items())
    return isinstance(value, list) and any(map(holds_secret, value))


def _load(registry: Path) -> Any:
    try:
        if registry.stat().st_size > _MOST_BYTES:
            raise RegistryUnreadable(f"{registry} is larger than {_MOST_BYTES} bytes")
        text = registry.read_bytes().decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_object)
    except OSError as error:
        raise RegistryUnreadable(f"{registry} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RegistryUnreadable(f"{registry} is no JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    out = _Object()
    for key, value in pairs:
        if key in out:
            out.twice = [*out.twice, (key, value)]
        else:
            out[key] = value
    return out


def _listed(data: Any) -> Iterator[tuple[str, Any]]:
    listed = data["bots"] if isinstance(data, _Object) and "bots" in data else data
    if isinstance(listed, list):
        for place, said in enumerate(listed, 1):
            named = isinstance(said, dict) and isinstance(said.get("name"), str)
            yield said["name"] if named else f"entry {place}", said
    elif isinstance(listed, _Object):
        yield from [*listed.items(), *listed.twice]
    else:
        raise RegistryUnreadable("the registry is neither a list of bots nor has it `bots`")


def _entry(root: Path, called: str, said: Any) -> Entry:
    entry = Entry(called)
    if not isinstance(said, dict):
        entry.refused = "it is no object"
        return entry
    if is_deep(said):
        entry.refused = f"it holds more than {MAX_DEPTH} levels of lists and objects"
        return entry
    entry.said = said
    name = said.get("name", called)
    entry.name = _usable(name) if isinstance(name, str) else None
    if entry.name is None:
        entry.refused = "its name cannot be used; names are a to z, digits and -, at most 63"
        return entry
    if entry.name != name:
        entry.notes.append(f"it was called {name!r}")
    try:
        named = said.get("path") or said.get("file") or f"bots/{name}/bot.py"
        if not isinstance(named, str) or "\x00" in named:
            raise ValueError("its path is no path")
        entry.file = named
        path = _place(root, name, named)
        entry.file = path.relative_to(root).as_posix()
        entry.code = _code(path, entry.file)
    except ValueError as error:
        entry.refused = str(error)
    except (OSError, RuntimeError) as error:  # a path that is too long, links in a circle
        entry.refused = f"its path cannot be followed: {type(error).__name__}"
    return entry


def _usable(name: str) -> str | None:
    """The name of a bot here; what looks like a path is not mended."""
    if "/" in name or "\\" in name or ".." in name or not name.isprintable():
        return None
    mended = re.sub(r"[ _.]+", "-", name.strip().lower()).strip("-")
    return mended if _NAME.fullmatch(mended) else None


def _code(path: Path, shown: str) -> str:
    """The text of a file.

    Raises:
      ValueError: It is not there, or no text; the message says which.
    """
    if not path.is_file():
        raise ValueError(f"missing: {shown}")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{shown} has more than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{shown} is not UTF-8") from None


def _place(root: Path, name: str, named: str) -> Path:
    """A path inside the installation, links followed.

    An installation may have been moved: then an absolute path is looked for at its usual place.
    """
    path = (root / named).resolve()
    usual = PurePosixPath("bots", name, "bot.py")
    if not path.is_relative_to(root) and PurePosixPath(named).parts[-3:] == usual.parts:
        path = (root / usual).resolve()
    if path.is_dir():
        path = (path / "bot.py").resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"{named!r} lies outside the installation")
    return path
