"""What bot files said when they were read last, so that a restart need not read them again.

It is a memory and no truth: by the content of a file, and of the files it names, it tells which
bots were found and what their definitions' digests were. A file with faults is not in it. Where
it is lost, damaged, or of other plugins, all files are simply read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex32.kernel.private_files import private_folder

log = logging.getLogger(__name__)

#: It is written anew when this part of it is news: one change among thousands is read again.
_NEWS = 0.02


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A bot file without faults.

    Attributes:
      digests: Of the definitions, by the bot's name.
      beside: Files that it names, relative to its folder.
    """

    digests: Mapping[str, str]
    beside: Sequence[str]


class KnownFiles:
    """Remembers files from one process to the next.

    Args:
      path: Where it is kept.
      readers: What decides how a file is read, as a text: the versions of all that is installed.
    """

    def __init__(self, path: Path, readers: str) -> None:
        self._path = path
        self._readers = hashlib.sha256(readers.encode()).hexdigest()
        self._files: dict[str, dict[str, Any]] | None = None
        self._news = 0

    def recall(self, path: str, text: bytes) -> KnownFile | None:
        """What a file of this content said; None where it must be read."""
        entry = self._loaded().get(path)
        if entry is None:
            return None
        try:
            known = KnownFile(dict(entry["digests"]), list(entry["beside"]))
            return known if entry["content"] == _content(path, text, known.beside) else None
        except (KeyError, TypeError, ValueError):
            return None

    def remember(self, path: str, text: bytes, file: KnownFile) -> None:
        """Keep what a file without faults said."""
        self._loaded()[path] = {
            "content": _content(path, text, file.beside),
            "digests": dict(file.digests),
            "beside": list(file.beside),
        }
        self._news += 1

    def save(self, present: Mapping[str, object]) -> None:
        """Write it if there is enough news; only what is ``present`` is kept."""
        kept = {path: entry for path, entry in self._loaded().items() if path in present}
        if not self._news or self._news < len(kept) * _NEWS:
            return
        self._files, self._news = kept, 0
        text = json.dumps({"readers": self._readers, "files": kept}, separators=(",", ":"))
        try:
            private_folder(self._path.parent)
            handle, name = tempfile.mkstemp(dir=self._path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(name, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            log.debug("what bot files said is not remembered: %s", error)

    def _loaded(self) -> dict[str, dict[str, Any]]:
        if self._files is None:
            self._files = {}
            try:
                told = json.loads(self._path.read_text(encoding="utf-8"))
                if told["readers"] == self._readers:
                    self._files = dict(told["files"])
            except FileNotFoundError:
                log.debug("no bot file was read here before")
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.debug("all bot files are read anew: %s", error)
        return self._files


def _content(path: str, text: bytes, beside: Sequence[str]) -> str:
    """The digest of a file and of those it names, which may be missing."""
    whole = hashlib.sha256(hashlib.sha256(text).digest())
    folder = os.path.dirname(path)
    for name in beside:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                whole.update(hashlib.sha256(file.read()).digest())
        except OSError:
            whole.update(b"missing")
    return whole.hexdigest()
