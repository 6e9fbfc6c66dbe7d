"""Noting the head of the audit log where the database does not reach.

A file of the home folder, a line of JSON for each head, that is only ever added to; what reads the
log of the processes sees the same heads, so a copy of that log is a second witness.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from codex32.services.safe import audit
from codex32.services.safe.audit_chain import Anchor

log = logging.getLogger(__name__)


class Anchors:
    """The heads that were noted.

    Args:
      path: Of the file; made when the first head is noted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._latest = max((each.seq for each in self.read()), default=0)

    def read(self) -> list[Anchor]:
        """All of them; a line that was cut by a crash is passed over."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                told = json.loads(line)
                found.append(Anchor(int(told["seq"]), str(told["hash"])))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def note(self, now: int) -> None:
        """Note the head, if it is another than before; called through ``Door.read``."""
        seq, head = audit.head()
        if seq <= self._latest:
            return
        text = json.dumps({"seq": seq, "hash": head, "at": now}) + "\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o600)
        try:
            os.write(file, text.encode())
            os.fsync(file)
        finally:
            os.close(file)
        self._latest = seq
        log.info("the audit log ends with entry %d, whose hash is %s", seq, head)
