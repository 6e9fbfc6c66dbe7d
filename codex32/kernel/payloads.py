"""JSON of any size in rows of a bounded size.

A value's text stands in its column; one longer than the limit goes to a file and the column
holds ``@<sha256>:<bytes>`` instead, which no JSON text begins with. Files lie in a folder an
execution, so that retention removes them with it. Processes on several machines share the
folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from codex32.kernel.errors import Codex32Error
from codex32.kernel.ids import ID_PATTERN
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.private_files import private_folder

_DIGEST = re.compile("[0-9a-f]{64}")


class PayloadMissing(Codex32Error):
    """A row points to a file that is not there any more, or not as it was written."""

    code = "payload-missing"


class PayloadStore:
    """Packs JSON values into column texts and back.

    Args:
      directory: Where files go; made when the first is written.
      limit_bytes: Longest text that stays in a row.
    """

    def __init__(self, directory: Path, limit_bytes: int = 64 * 1024) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes

    def pack_small(self, value: JSON) -> str | None:
        """The column text of ``value``, or None where it needs a file. Touches no disk."""
        text = dumps(value)
        if len(text) * 4 <= self.limit_bytes or len(text.encode()) <= self.limit_bytes:
            return text
        return None

    def pack(self, execution_id: str, value: JSON) -> str:
        """The column text of ``value``; its file, if it needs one, is durable on return."""
        small = self.pack_small(value)
        if small is not None:
            return small
        data = dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        _write_durably(self._path(execution_id, digest), data)
        return f"@{digest}:{len(data)}"

    def unpack(self, execution_id: str, text: str | None) -> JSON:
        """The value of a column text; None for an empty column.

        Raises:
          PayloadMissing: The value's file is gone or damaged.
        """
        if text is None:
            return None
        if not text.startswith("@"):
            return loads(text)
        digest = text[1:].partition(":")[0]
        path = self._path(execution_id, digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise PayloadMissing(
                f"the value's file {path} is gone; was the storage folder moved?"
            ) from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise PayloadMissing(f"the value's file {path} is damaged; restore it from a backup")
        return loads(data)

    def share(self, source: str, target: str, texts: Iterable[str | None]) -> None:
        """Let the execution ``target`` have the files that column texts of ``source`` name.

        They are durable on return, and stay when those of ``source`` are removed.

        Raises:
          PayloadMissing: One of them is gone.
        """
        digests = {t[1:].partition(":")[0] for t in texts if t is not None and t.startswith("@")}
        for digest in digests:
            _link(self._path(source, digest), self._path(target, digest))
        if digests:
            _sync_folder(self._folder(target))

    def remove(self, execution_id: str) -> None:
        """Remove an execution's files."""
        shutil.rmtree(self._folder(execution_id), ignore_errors=True)

    def _folder(self, execution_id: str) -> Path:
        if not ID_PATTERN.fullmatch(execution_id):
            raise ValueError(f"{execution_id!r} is no id")
        # Two levels, so that no folder holds millions of entries.
        return self.directory / execution_id[-2:] / execution_id

    def _path(self, execution_id: str, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is no digest")
        return self._folder(execution_id) / f"{digest}.json"


def _write_durably(path: Path, data: bytes) -> None:
    """Write under another name, sync, then rename, so that a reader never sees half a file."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _link(source: Path, target: Path) -> None:
    """One file under two names, or a copy where the file system knows no such thing."""
    private_folder(target.parent)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise PayloadMissing(
            f"the value's file {source} is gone; was the storage folder moved?"
        ) from None
    except OSError:
        _write_durably(target, source.read_bytes())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
