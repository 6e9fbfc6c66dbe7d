"""Files that a bot file names: their text goes into the document, so that a version holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Final

from codex32.engine.expressions import holds_expression
from codex32.kernel.contracts.bot_type import BotType

MAX_BYTES: Final = 256 * 1024
#: Gives the text of a file, by its path relative to the bot file. Raises OSError or ValueError.
ReadFile = Callable[[str], str]


def folder_reader(folder: Path) -> ReadFile:
    """Reads text files in ``folder`` and below; nothing leads out of it, no link either."""

    def read(relative: str) -> str:
        root = folder.resolve()
        path = (root / relative).resolve()
        if not path.is_relative_to(root):
            raise ValueError("it lies outside the bot file's folder")
        if not path.is_file():
            raise ValueError("there is no such file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES // 1024} KiB")
        return data.decode()

    return read


def inline_files(
    params: dict[str, Any], kind: BotType, read_file: ReadFile | None, named: list[str]
) -> list[tuple[str, str]]:
    """Put the text of each named file into ``params``.

    Args:
      params: The step's ``with``; changed in place.
      kind: The step's bot type.
      read_file: Reads a file; None where there is no bot file beside which it could lie.
      named: Receives the names of files, also of those that cannot be read.

    Returns:
      Faults: the parameter, and what is wrong with it.
    """
    faults = []
    for source, target in kind.inlined_files.items():
        name = params.get(source)
        if not isinstance(name, str):
            continue
        if read_file is None:
            # A stored definition holds both; the text is the truth, the name its origin.
            if target not in params:
                message = f"a file can be named in bot files only; hand its text in as {target!r}"
                faults.append((source, message))
        elif target in params:
            faults.append((source, f"write {source!r} or {target!r}, not both"))
        elif fault := _unsafe(name):
            faults.append((source, fault))
        else:
            named.append(name)
            try:
                params[target] = read_file(name)
            except UnicodeDecodeError:
                faults.append((source, f"{name}: it is not UTF-8"))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                faults.append((source, f"{name}: {reason}"))
    return faults


def _unsafe(name: str) -> str | None:
    if holds_expression(name):
        return "a file's name is no place for expressions; code is fixed when the file is read"
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\x00" in name:
        return f"{name!r}: write a path below the bot file's folder, with / and without .."
    return None
