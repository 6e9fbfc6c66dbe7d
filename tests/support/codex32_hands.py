"""The hands of clocks that processes go by, moved by a test."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path


class Hands:
    """A file with the seconds by which clocks are wrong; processes read it all the time.

    They do where the environment names it: ``CODEX32_CLOCK_SHIFT``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set(0)

    def set(self, seconds: float) -> None:
        """Let the clocks be wrong by so much."""
        new = self.path.with_suffix(".new")
        new.write_text(str(seconds))
        os.replace(new, self.path)

    def put_to(self, moment: datetime) -> None:
        """Let the clocks show ``moment`` now, and go on from there."""
        self.set(moment.timestamp() - time.time())
